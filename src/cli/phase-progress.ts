import type { PhaseProgress } from '../experiments/index.js';
import type { Progress } from './progress.js';

/**
 * Shows the parts of a longer piece of work one after another: a progress line for each, and a line that stays at its end.
 *
 * @param run - Only of one that an earlier process began a part can have been resumed; otherwise what is skipped was done by an earlier
 *   part of the same run.
 */
export function phaseProgress(
  { progress }: { progress(options: { label: string; total?: number; uneven?: boolean }): Progress },
  run: { readonly resumed: boolean },
): PhaseProgress {
  let current: Progress | undefined;
  let steps = 0;
  let resumed = false;
  return {
    begin(label, total, { uneven } = {}) {
      current = progress({ label, total, uneven });
      steps = 0;
      resumed = false;
    },
    advance(step, text, tokens) {
      if (!current) return;
      const to = step ?? current.done + 1;
      // Every step is heard of: a later one than the next means that a run went on from its checkpoint, or that a stage
      // of the part ended before its budget.
      const left = to - 1 - current.done;
      if (left > 0) {
        current.skip(left);
        resumed ||= run.resumed && steps === 0;
      }
      steps++;
      current.update(to, { extra: text, tokens });
    },
    advanceBy(more, count, tokens) {
      steps += more;
      current?.update(current.done + more, { count, tokens });
    },
    skip(before) {
      resumed = run.resumed;
      current?.skip(before);
    },
    end(what = `${steps} ${steps === 1 ? 'step' : 'steps'}`) {
      current?.complete(resumed ? `${what} (resumed)` : what);
      current = undefined;
    },
  };
}
