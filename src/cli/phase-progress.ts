import type { PhaseProgress } from '../experiments/index.js';
import type { Progress } from './progress.js';

/** Shows the parts of a longer piece of work one after another, each with a progress line of its own. */
export function phaseProgress({
  progress,
}: {
  progress(options: { label: string; total?: number }): Progress;
}): PhaseProgress {
  let current: Progress | undefined;
  let done = 0;
  return {
    begin(label, total) {
      done = 0;
      current = progress({ label, total });
    },
    advance(step, text) {
      done = step ?? done + 1;
      current?.update(done, text);
    },
    end() {
      current?.finish();
      current = undefined;
    },
  };
}
