import { afterEach, expect, it, vi } from 'vitest';
import { type PhaseProgress, shownPass } from './progress.js';

afterEach(() => {
  vi.useRealTimers();
});

/** What is shown, one entry a call. */
function recorded() {
  const calls: unknown[][] = [];
  const note =
    (name: string) =>
    (...args: unknown[]) =>
      void calls.push([name, ...args]);
  const progress: PhaseProgress = {
    ...{ begin: note('begin'), advance: note('advance'), advanceBy: note('advanceBy') },
    ...{ skip: note('skip'), end: note('end') },
  };
  return { calls, progress };
}

it('shows a pass that takes a while, with all that was done before it was shown, and the part again after it', () => {
  vi.useFakeTimers();
  const { calls, progress } = recorded();
  const pass = shownPass(progress, { label: 'lock: pass', total: 100, after: () => progress.begin('lock', 8) });
  pass.examples(10);
  vi.advanceTimersByTime(4000);
  pass.examples(10);
  expect(calls).toEqual([]);
  vi.advanceTimersByTime(2000);
  pass.examples(30);
  pass.examples(50);
  pass.end();
  expect(calls).toEqual([
    ['begin', 'lock: pass', 100],
    ['advanceBy', 50, '50 of 100 examples'],
    ['advanceBy', 50, '100 of 100 examples'],
    ['end', '100 examples'],
    ['begin', 'lock', 8],
  ]);
});

it('shows nothing of one that is over soon', () => {
  const { calls, progress } = recorded();
  const pass = shownPass(progress, { label: 'lock: pass', total: 3, after: () => progress.begin('lock', 8) });
  pass.examples(3);
  pass.end();
  expect(calls).toEqual([]);
});
