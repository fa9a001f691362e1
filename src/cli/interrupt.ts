import { InterruptedError } from '../formats/index.js';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** The part of `process` that signals come through. */
export interface SignalSource {
  /** Adds a listener. */
  on(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  /** Removes it. */
  off(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
}

/**
 * Listens for Ctrl-C and SIGTERM. The first aborts the returned signal with an {@link InterruptedError}, so that work
 * ends its step and writes a checkpoint; the second ends the process at once.
 *
 * @param options - `source`: default `process`; `exit`: ends the process; `note`: tells the user.
 * @returns The signal, and `dispose` to stop listening.
 */
export function handleInterrupts({
  source = process,
  exit = (code) => process.exit(code),
  note,
}: {
  source?: SignalSource;
  exit?: (code: number) => void;
  note: (text: string) => void;
}): { signal: AbortSignal; dispose: () => void } {
  const controller = new AbortController();
  const listener = () => {
    if (controller.signal.aborted) return exit(130);
    note('stopping after this step; press Ctrl-C again to stop at once');
    controller.abort(new InterruptedError('interrupted'));
  };
  for (const name of SIGNALS) source.on(name, listener);
  return {
    signal: controller.signal,
    dispose: () => {
      for (const name of SIGNALS) source.off(name, listener);
    },
  };
}
