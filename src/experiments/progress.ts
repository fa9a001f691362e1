import type { RunFolder } from '../evidence/index.js';
import type { PassListener } from '../locks/index.js';

/** What a longer piece of work with several parts shows while it runs. */
export interface PhaseProgress {
  /**
   * A part begins.
   *
   * @param label - Its name.
   * @param total - Its work in optimizer steps, at most.
   * @param options - `uneven`: some of its steps take much longer than others, or may be left out, as those of trials
   * do; the time left then follows a change of speed more slowly.
   */
  begin(label: string, total: number, options?: { readonly uneven?: boolean }): void;
  /**
   * One step of it is done, or the step it has come to; `text` is worth a glance, such as the loss; `tokens` are those of the
   * step, of texts.
   */
  advance(step?: number, text?: string, tokens?: number): void;
  /** Work of so many steps is done at once, such as a trial, on so many tokens; `count` says in words how far that is. */
  advanceBy(steps: number, count: string, tokens?: number): void;
  /** Work of so many steps was done by an earlier, interrupted run: it does not count for the time left. */
  skip(steps: number): void;
  /** The part has ended: a line of it stays; `what` was done, by default its steps. */
  end(what?: string): void;
}

/** Milliseconds after which a pass is shown: what is over sooner is not worth a line. */
const worthShowing = 5000;

/**
 * Shows a pass over examples that comes before the steps of a part, or between them, where it takes a while.
 *
 * @param of - `label`: its own name. `total`: its examples. `after`: shows the part again when it has ended.
 */
export function shownPass(
  progress: PhaseProgress,
  { label, total, after }: { label: string; total: number; after: () => void },
): PassListener {
  const began = Date.now();
  let done = 0;
  let isShown = false;
  return {
    examples(count) {
      done += count;
      if (!isShown && Date.now() - began < worthShowing) return;
      if (!isShown) progress.begin(label, total);
      progress.advanceBy(isShown ? count : done, `${done} of ${total} examples`);
      isShown = true;
    },
    end() {
      if (!isShown) return;
      progress.end(`${total} examples`);
      after();
    },
  };
}

/** Shows nothing. */
export const silentProgress: PhaseProgress = {
  begin: () => undefined,
  advance: () => undefined,
  advanceBy: () => undefined,
  skip: () => undefined,
  end: () => undefined,
};

/** Shows progress, and notes it in the run folder as well, for whoever watches the run from outside. */
export function notedProgress(shown: PhaseProgress, folder: Pick<RunFolder, 'reportStatus'>): PhaseProgress {
  let [phase, step, total] = ['', 0, 0];
  const note = () => folder.reportStatus({ phase, step, total });
  return {
    begin(label, most, options) {
      [phase, step, total] = [label, 0, most];
      note();
      shown.begin(label, most, options);
    },
    advance(to, ...more) {
      step = to ?? step + 1;
      note();
      shown.advance(to, ...more);
    },
    advanceBy(steps, ...more) {
      step += steps;
      note();
      shown.advanceBy(steps, ...more);
    },
    skip(before) {
      step += before;
      note();
      shown.skip(before);
    },
    end(what) {
      note();
      shown.end(what);
    },
  };
}
