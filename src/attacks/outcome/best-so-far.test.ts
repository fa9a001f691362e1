import { expect, it } from 'vitest';
import { type AttackRow, bestSoFar, type Trial } from '../index.js';

const trial = (seed: number, score: number, more: Partial<Trial> = {}): Trial => ({
  ...{ learningRate: 1, seed, score, metrics: {}, evaluations: 4, end: 'budget' },
  curve: [{ step: 0, score: 0.2 }],
  spent: { steps: 10, samples: 80, flops: 1000 },
  ...more,
});
/** A search of two trials that saw a score, and reported others. */
const row = (kind: string, seen: number, scores: readonly number[], more: Partial<AttackRow> = {}) =>
  ({
    ...{ start: 'locked', kind, optimizer: 'sgd', measure: 'score', trains: true, budget: 10 },
    result: {
      search: [trial(8, seen - 0.1, { learningRate: 2 }), trial(8, seen)],
      learningRate: 1,
      trials: scores.map((score, index) => trial(index + 1, score)),
    },
    ...more,
  }) as AttackRow;

it('is the reported score of what the searches so far saw as the best, over what all of them cost', () => {
  const rows = [
    row('first', 0.5, [0.4, 0.44]),
    // Better when reported, and nobody could know.
    row('second', 0.3, [0.9, 0.9]),
    row('third', 0.7, [0.6, 0.64]),
    row('first', 0.6, [0.8, 0.8], { start: 'unlocked' }),
  ];
  const [locked, unlocked] = bestSoFar(rows);
  expect(locked).toMatchObject({ start: 'locked', measure: 'score', seeds: 2, draws: 1, confidence: 0.95 });
  const { points } = locked;
  expect(points.map(({ attack }) => attack)).toEqual([undefined, 'first', 'first', 'third']);
  // Two trials of a search and one run of what it chose, each time.
  expect(points.map(({ steps, flops }) => [steps, flops])).toEqual([
    [0, 0],
    [30, 3000],
    [60, 6000],
    [90, 9000],
  ]);
  [0.2, 0.42, 0.42, 0.62].forEach((score, at) => void expect(points[at].score).toBeCloseTo(score, 12));
  // Of two seeds a bootstrap knows no more than both.
  expect([points[3].low, points[3].high]).toEqual([0.6, 0.64]);
  expect(unlocked.points.map(({ steps }) => steps)).toEqual([0, 30]);
});

it('draws locks and then their seeds: what differs by lock alone is as uncertain as locks are few', () => {
  const byLock = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => (seed % 2 === 0 ? 0.3 : 0.7));
  const [one] = bestSoFar([row('clip', 0.5, byLock)]);
  const [two] = bestSoFar([row('clip', 0.5, byLock, { draws: 2 })]);
  expect(two).toMatchObject({ draws: 2, seeds: 8 });
  expect([two.points[1].low, two.points[1].high].map((bound) => bound?.toFixed(9))).toEqual([
    '0.300000000',
    '0.700000000',
  ]);
  expect(one.points[1].low).toBeGreaterThan(0.32);
  expect(one.points[1].high).toBeLessThan(0.68);
});

it('charges a search whose runs failed, leaves out the seeds that are missing, and has no interval of one', () => {
  const failed = { score: Number.NaN, end: 'failed', failure: 'no memory', spent: undefined, curve: [] } as const;
  const broken = row('broken', 0.9, [0.4, 0.5]);
  const trials = broken.result.trials.map((each) => ({ ...each, ...failed }));
  const some = row('some', 0.6, [0.4, 0.5]);
  const [first, second] = some.result.trials;
  const [{ points }] = bestSoFar([
    { ...broken, result: { ...broken.result, trials } },
    { ...some, result: { ...some.result, trials: [first, { ...second, ...failed }] } },
  ]);
  expect(points).toEqual([
    { steps: 0, flops: 0, score: 0.2 },
    { attack: 'some', optimizer: 'sgd', steps: 50, flops: 5000, score: 0.4 },
  ]);
  expect(bestSoFar([{ ...broken, result: { ...broken.result, trials } }])).toEqual([]);
});

it('takes on the unlocked model the best of what works there, before that what there is', () => {
  const unlocked = (kind: string, seen: number, scores: readonly number[]) => {
    const found = row(kind, seen, scores, { start: 'unlocked', countsAs: 'unlocked' });
    return { ...found, result: { ...found.result, constant: 0.5 } };
  };
  const [{ points }] = bestSoFar([
    unlocked('unsteady', 0.8, [0.4, 0.7]),
    unlocked('steady', 0.7, [0.69, 0.7]),
    unlocked('better', 0.72, [0.71, 0.72]),
  ]);
  expect(points.map(({ attack }) => attack)).toEqual([undefined, 'unsteady', 'steady', 'better']);
});
