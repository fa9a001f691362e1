import { CommanderError } from 'commander';
import { z } from 'zod';
import { asOutputError, isDiskError } from '../formats/index.js';
import { InterruptedError, inWords, WeightlockError } from '../registry/index.js';
import { printable } from '../report/index.js';

/** What the process says about an error, and its exit code. */
export interface Failure {
  /** Text for stderr, without a newline at its end; undefined when there is nothing to say (`--help`). */
  message: string | undefined;
  /** 0 for help and version, 1 unexpected or a property that does not hold, 2 wrong usage or input, 130 interrupted. */
  exitCode: number;
}

/**
 * Turns anything thrown into one line and an exit code.
 *
 * @param options - `debug` adds the stack, default false.
 */
export function describeFailure(error: unknown, { debug = false }: { debug?: boolean } = {}): Failure {
  const failure = judge(error, debug);
  if (!debug || failure.message === undefined || !(error instanceof Error)) return failure;
  return { ...failure, message: `${failure.message}\n${stackOf(error)}` };
}

function judge(error: unknown, debug: boolean): Failure {
  // What was not caught where it was written: a library's own files, or a redirected stdout.
  if (isDiskError(error) && error instanceof Error) {
    const path = 'path' in error && typeof error.path === 'string' ? error.path : 'output';
    return judge(asOutputError(path, error), debug);
  }
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return { message: undefined, exitCode: 0 };
    // Wrong usage is 2 here, 1 in commander; its suggestion comes on a line of its own.
    const message = error.message.replace(/^error: /, '').replace(/\n\(Did you mean (.+)\?\)$/, '; did you mean $1?');
    return { message: `error: ${oneLine(message)}`, exitCode: 2 };
  }
  if (error instanceof InterruptedError) return { message: oneLine(error.message), exitCode: error.exitCode };
  if (error instanceof WeightlockError) {
    return { message: `error: ${oneLine(error.message)}`, exitCode: error.exitCode };
  }
  const [issue] = error instanceof z.ZodError ? error.issues : [];
  if (issue) {
    // Messages of our own schemas begin so; the library's are not for people.
    const message = issue.message.startsWith('expected ') ? issue.message : (inWords(issue) ?? issue.message);
    const where = issue.path.length > 0 ? `${issue.path.map(String).join('.')}: ` : '';
    return { message: `error: ${oneLine(where + message)}`, exitCode: 2 };
  }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const hint = debug ? '' : ' (unexpected; --debug shows where)';
  return { message: `error: ${oneLine(text)}${hint}`, exitCode: 1 };
}

/** A message of several lines, or with a name from a file in it, as one. */
function oneLine(text: string): string {
  return printable(text).trim();
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by: ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
