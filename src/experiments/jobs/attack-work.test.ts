import { describe, expect, it } from 'vitest';
import type { SearchBudget } from '../../attacks/index.js';
import type { PhaseProgress } from '../progress.js';
import { attackWork, trackTrials } from './attack-work.js';

/** Six rates and two beside the best, the two best again with one more seed, three reported runs: 13 trials. */
const budget: SearchBudget = { decades: [-3, -2, -4, -1, -5, 0], searchSeeds: [11, 12], seeds: [1, 2, 3] };

function recorded() {
  const calls: unknown[][] = [];
  const note =
    (name: string) =>
    (...given: unknown[]) => {
      calls.push([name, ...given.filter((value) => value !== undefined)]);
    };
  const progress: PhaseProgress = {
    begin: note('begin'),
    advance: note('advance'),
    advanceBy: note('advanceBy'),
    skip: note('skip'),
    end: note('end'),
  };
  return { calls, progress };
}

describe('attackWork', () => {
  it('weighs a search by the steps of its trials', () => {
    expect(attackWork({ steps: 240, budget })).toBe(3120);
    expect(attackWork({ steps: 40, budget })).toBe(520);
    expect(attackWork({ steps: 40, budget: { ...budget, decades: [-3], refine: false } })).toBe(120);
    // Ten trials of the search are shorter.
    expect(attackWork({ steps: 240, budget: { ...budget, searchSteps: 24 } })).toBe(960);
  });
});

describe('trackTrials', () => {
  it('advances by the steps of each trial and counts the trials in words', () => {
    const { calls, progress } = recorded();
    const [cost, score] = [240, 40].map((steps) => ({ id: `of-${steps}`, steps, budget }));
    const tracker = trackTrials(progress, 'attack', [cost, score]);
    tracker.trial(cost, 7200);
    tracker.trial(score);
    tracker.end();
    expect(calls).toEqual([
      ['begin', 'attack', 3640, { uneven: true }],
      ['advanceBy', 240, '1 of 26 trials', 7200],
      ['advanceBy', 40, '2 of 26 trials'],
      ['end', '2 trials'],
    ]);
  });

  it('advances by the steps of a trial before it is done, and by no more than all of it', () => {
    const { calls, progress } = recorded();
    const own = { id: 'own', steps: 240, budget };
    const tracker = trackTrials(progress, 'attack', [own]);
    tracker.steps(own, 100);
    // Another seed, side by side with it.
    tracker.steps(own, 160);
    tracker.trial(own);
    tracker.steps(own, 20);
    tracker.trial(own);
    expect(calls.slice(1)).toEqual([
      ['advanceBy', 100, '0 of 13 trials'],
      ['advanceBy', 160, '0 of 13 trials'],
      ['advanceBy', 0, '1 of 13 trials'],
      ['advanceBy', 20, '1 of 13 trials'],
      ['advanceBy', 200, '2 of 13 trials'],
    ]);
  });

  it('comes to its total where searches are shorter than what is reported', () => {
    const { calls, progress } = recorded();
    const own = { id: 'short', steps: 240, budget: { ...budget, searchSteps: 24 } };
    const tracker = trackTrials(progress, 'attack', [own]);
    tracker.skipTrials(own, 9);
    for (let trial = 9; trial < 13; trial++) tracker.trial(own);
    expect(calls.slice(1).map(([name, steps]) => [name, steps])).toEqual([
      ['skip', 216],
      ['advanceBy', 24],
      ...[1, 2, 3].map(() => ['advanceBy', 240]),
    ]);
  });

  it('comes to its total, with what an earlier run has done', () => {
    const { calls, progress } = recorded();
    const tasks = [240, 40].map((steps) => ({ id: `of-${steps}`, steps, budget }));
    const tracker = trackTrials(progress, 'attack', tasks);
    tracker.skip(tasks[0]);
    tracker.skipTrials(tasks[0], 0);
    tracker.skipTrials(tasks[1], 4);
    for (let trial = 4; trial < 13; trial++) tracker.trial(tasks[1]);
    const advanced = calls
      .filter(([name]) => name === 'advanceBy' || name === 'skip')
      .map(([, steps]) => Number(steps));
    expect(advanced.reduce((sum, steps) => sum + steps)).toBe(3640);
    expect(calls.at(-1)).toEqual(['advanceBy', 40, '26 of 26 trials']);
    // A later part of the run finds both done and counts neither again.
    const before = calls.length;
    for (const task of tasks) tracker.skip(task);
    expect(calls).toHaveLength(before);
  });
});
