import { expect, it } from 'vitest';
import type { AttackRow } from '../attacks/index.js';
import { withCurrentForms } from './older-results.js';

/** As version 0.1.0 wrote it into result.json. */
const older = (start: string, attack: string) => ({
  start,
  attack,
  measure: 'score',
  optimizer: 'adamw',
  budget: 40,
  result: {
    search: [],
    learningRate: 0.01,
    trials: [{ learningRate: 0.01, seed: 1, score: 0.5, curve: [], classAccuracies: [0.25, 0.75] }],
  },
});

it('rows of an older version say what those of this one say, wherever they stand in a result', () => {
  const locked = older('locked', 'clip-rescale');
  const read = withCurrentForms({
    rows: [locked, older('unlocked', 'frozen'), older('random weights', 'fine-tune')],
    score: { measure: 'score', locked, value: { n: 2 } },
    notes: undefined,
  }) as unknown as { rows: AttackRow[]; score: { locked: AttackRow } };
  expect(
    read.rows.map(({ kind, label, countsAs, trains, adaptive, plain }) => [
      kind,
      label,
      countsAs,
      trains,
      adaptive,
      plain,
    ]),
  ).toEqual([
    ['clip-rescale', 'clip + rescale', 'locked', true, true, false],
    ['frozen', undefined, 'nothing', false, false, false],
    ['fine-tune', undefined, 'floor', true, false, true],
  ]);
  expect(read.score.locked).toEqual(read.rows[0]);
  const [{ classAccuracies: _, ...trial }] = locked.result.trials;
  const metrics = { 'recall.0': 0.25, 'recall.1': 0.75 };
  expect(read.rows[0].result).toEqual({ ...locked.result, trials: [{ ...trial, metrics }] });
  expect(read).toHaveProperty('metric', 'accuracy');
  expect(withCurrentForms(read)).toEqual(read);
  // An attack that this version does not know.
  expect(withCurrentForms({ start: 'locked', attack: 'guess', result: {} })).not.toHaveProperty('kind');
});
