import { Command, CommanderError } from 'commander';
import { weightlockVersion } from '../evidence/index.js';
import { InputError } from '../registry/index.js';
import type { CliCommand } from './command.js';
import { commands } from './commands/index.js';
import { describeFailure } from './errors.js';
import { Output, type TextStream } from './output.js';
import { didYouMean } from './suggest.js';

/**
 * Runs the command line: parses, runs one command, reports an error as one line on stderr.
 *
 * @param argv - Arguments without node and script; default those of this process.
 * @param options - Streams, default those of this process.
 * @returns The exit code: 0 done, 1 a property does not hold, 2 wrong usage or input, 130 interrupted and resumable.
 */
export async function main(
  argv: readonly string[] = process.argv.slice(2),
  { stdout = process.stdout, stderr = process.stderr }: { stdout?: TextStream; stderr?: TextStream } = {},
): Promise<number> {
  return runProgram(commands, argv, new Output({ stdout, stderr }));
}

/** Runs one of the given commands; see {@link main}. */
export async function runProgram(
  available: readonly CliCommand[],
  argv: readonly string[],
  output: Output,
): Promise<number> {
  let exitCode = 0;
  const program = new Command('weightlock')
    .description('Locks open-weight neural networks against fine-tuning, attacks its own locks, writes the evidence.')
    .version(weightlockVersion(), '-V, --version', 'Show the version.')
    .helpOption('-h, --help', 'Show this help.')
    .helpCommand(false)
    .usage('<command> [options]')
    .configureHelp({ subcommandTerm: (command) => `${command.name()} ${command.usage()}` })
    .addHelpText('after', '\nExit codes: 0 done, 1 a property does not hold, 2 wrong usage or input, 130 interrupted.');
  // The first word that is one: those behind it are its arguments and values.
  const wanted = argv.find((word) => available.some(({ name }) => name === word));
  const finish = (code: 0 | 1) => {
    exitCode = code;
  };
  for (const each of available) {
    program.addCommand(each.name === wanted ? each.build(output, finish) : each.outline());
  }
  for (const command of [program, ...program.commands]) {
    // Errors are thrown and written by describeFailure; only help and version are commander's to print.
    command.exitOverride().configureOutput({ writeOut: (text) => output.print(text), writeErr: () => undefined });
  }
  try {
    if (argv.length === 0) {
      program.configureOutput({ writeOut: (text) => output.note(text) }).outputHelp();
      return 2;
    }
    await program.parseAsync(normalize(argv, available), { from: 'user' });
    return exitCode;
  } catch (error) {
    const command = program.commands.find((each) => each.name() === wanted);
    const failure = describeFailure(withSuggestion(error, command), { debug: argv.includes('--debug') });
    if (failure.message !== undefined) output.note(failure.message);
    return failure.exitCode;
  }
}

/** An unknown option with the nearest of all options; commander's own suggestions leave out those that help sums up. */
function withSuggestion(error: unknown, command: Command | undefined): unknown {
  if (!(error instanceof CommanderError) || error.code !== 'commander.unknownOption') return error;
  const [, flag] = /'(.+)'/.exec(error.message) ?? [];
  if (flag === undefined || !command) return error;
  const known = command.options.flatMap(({ long }) => long ?? []);
  return new InputError(`unknown option '${flag}'${didYouMean(flag, known)}`);
}

/**
 * Reads `help X` as `X --help`, and refuses an unknown command whatever follows it: commander shows the general help for
 * `unknown --help` and `help unknown`, and calls the first a success.
 */
function normalize(argv: readonly string[], available: readonly CliCommand[]): readonly string[] {
  const words = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
  const names = available.map(({ name }) => name);
  const [first = ''] = words;
  if (!first.startsWith('-') && !names.includes(first)) {
    throw new InputError(`unknown command ${JSON.stringify(first)}${didYouMean(first, names)}`);
  }
  return words;
}
