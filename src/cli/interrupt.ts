import { type ChildProcess, spawn } from 'node:child_process';
import { InterruptedError } from '../registry/index.js';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
type StopSignal = (typeof SIGNALS)[number];

/**
 * Program of a process that a terminal's Ctrl-C reaches too: kills the one that started it at the second. It ends with its
 * standard input, that is when that one is dead or has no more need of it.
 */
const GUARD = `
let count = 0;
const stop = () => { if (++count === 2 && process.ppid === Number(process.argv[1])) process.kill(process.ppid, 'SIGKILL'); };
process.on('SIGINT', stop).on('SIGTERM', stop);
process.stdin.resume().on('end', () => process.exit());`;

/** The part of `process` that signals come through. */
export interface SignalSource {
  /** Adds a listener. */
  on(event: StopSignal, listener: () => void): unknown;
  /** Removes it. */
  off(event: StopSignal, listener: () => void): unknown;
}

/**
 * Listens for Ctrl-C and SIGTERM. The first aborts the returned signal with an {@link InterruptedError}, so that work
 * ends its step and writes a checkpoint. The second ends the process at once, as if nobody had listened: what is stuck
 * might never come back to hear of it.
 *
 * @param options - `source`: default `process`; `end`: ends the process by a signal; `terminal`: whether Ctrl-C comes from one,
 * default whether stdin is one; `note`: tells the user.
 * @returns The signal, and `dispose` to stop listening.
 */
export function handleInterrupts({
  source = process,
  end = (name) => process.kill(process.pid, name),
  terminal = process.stdin.isTTY === true,
  note,
}: {
  source?: SignalSource;
  end?: (name: StopSignal) => void;
  terminal?: boolean;
  note: (text: string) => void;
}): { signal: AbortSignal; dispose: () => void } {
  const controller = new AbortController();
  const guard = terminal ? startGuard() : undefined;
  const listeners = SIGNALS.map((name) => ({
    name,
    listener: () => {
      if (controller.signal.aborted) {
        // It came while something had kept the first from being heard. Not process.exit: that waits for stuck file calls.
        stop();
        return end(name);
      }
      note('stopping after this step; press Ctrl-C again to stop at once');
      // From the next turn on the system ends the process itself, also where this loop never turns again.
      setImmediate(stop);
      controller.abort(new InterruptedError('interrupted'));
    },
  }));
  const stop = () => {
    for (const { name, listener } of listeners) source.off(name, listener);
  };
  for (const { name, listener } of listeners) source.on(name, listener);
  return {
    signal: controller.signal,
    dispose: () => {
      stop();
      guard?.stdin?.end();
    },
  };
}

/**
 * While JavaScript or a native call keeps the thread busy, Node hears of no signal, not even the first. Another process
 * does, where a terminal sends Ctrl-C to both; elsewhere the second ends this one when the call returns.
 */
function startGuard(): ChildProcess {
  const guard = spawn(process.execPath, ['-e', GUARD, String(process.pid)], { stdio: ['pipe', 'ignore', 'ignore'] });
  // It is a help, not a need: where no process can be started, the command works without it.
  guard.on('error', () => undefined);
  guard.stdin?.on('error', () => undefined);
  guard.unref();
  return guard;
}
