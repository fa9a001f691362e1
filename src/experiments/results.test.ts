import { describe, expect, it } from 'vitest';
import type { AttackRow, Trial } from '../attacks/index.js';
import { toJson } from '../evidence/index.js';
import { InputError } from '../registry/index.js';
import { tasks } from '../tasks/index.js';
import type { AttackedModel } from './index.js';
import { assessAttack, fromResultFile, resultJsonSchema, resultKinds, toResultFile } from './index.js';

const trial = (seed: number): Trial => ({
  learningRate: 0.01,
  seed,
  curve: [
    { step: 0, score: 0.1 },
    { step: 4, score: 0.5 },
  ],
  metrics: { accuracy: 0.5, loss: Number.NaN, 'recall.3': null },
  score: 0.5,
  evaluations: 4,
  end: 'diverged',
});

const row: AttackRow = {
  start: 'locked',
  kind: 'clip',
  label: 'clipped',
  first: ['clipping'],
  use: 'fine-tuning',
  trains: true,
  plain: false,
  adaptive: true,
  knows: ['that there is a lock'],
  countsAs: 'locked',
  composition: {
    transforms: [{ name: 'clip', options: { topK: 4 } }],
    trained: { name: 'all' },
    optimizer: { name: 'sgd', options: { momentum: 0.9 }, schedule: { name: 'constant' } },
  },
  optimizer: 'sgd',
  measure: 'score',
  budget: 40,
  result: { search: [trial(11)], learningRate: 0.01, trials: [trial(1), trial(2)] },
};

const attacked: AttackedModel = { rows: [row], metric: 'accuracy', notes: ['Not tried: nothing to clip.'] };
it('name the attacks that fail on the unlocked model, for programs as well', () => {
  const task = tasks.get('classification');
  const on = (start: 'unlocked' | 'locked', kind: string, score: number): AttackRow => ({
    ...{ ...row, start, countsAs: start, kind },
    result: { ...row.result, constant: 0.5, trials: [1, 2].map((seed) => ({ ...trial(seed), score })) },
  });
  const rows = [on('unlocked', 'clip', 0.5), on('unlocked', 'reset', 0.9), on('locked', 'clip', 0.5)];
  const found = assessAttack({ rows, notes: [], seconds: {} }, task);
  expect(found.failsOnUnlocked).toEqual([{ attack: 'clip', optimizer: 'sgd', measure: 'score' }]);
  expect(fromResultFile('attack', written(found), 'result.json').failsOnUnlocked).toEqual(found.failsOnUnlocked);
});

const written = (found: AttackedModel): unknown => JSON.parse(toJson(toResultFile('attack', found)));

describe('result files', () => {
  it('say of which form they are, and come back as they were, numbers that JSON lacks included', () => {
    expect(written(attacked)).toMatchObject({ schema: 'weightlock/attack/1' });
    expect(fromResultFile('attack', written(attacked), 'result.json')).toEqual(attacked);
  });

  it('of another form, or damaged, are refused by the key that is wrong', () => {
    const read = (value: unknown) => () => fromResultFile('attack', value, 'runs/x/result.json');
    expect(read({ ...(written(attacked) as object), schema: 'weightlock/attack/2' })).toThrow(
      new InputError(
        'runs/x/result.json: expected a result of the form weightlock/attack/1, found "weightlock/attack/2"',
      ),
    );
    const damaged = written(attacked) as { rows: { budget: unknown }[] };
    damaged.rows[0].budget = 'many';
    expect(read(damaged)).toThrow(/^runs\/x\/result\.json: rows\.0\.budget: /);
    expect(read(null)).toThrow(InputError);
  });

  it('have a JSON Schema each', () => {
    for (const kind of resultKinds) {
      const schema = resultJsonSchema(kind);
      expect(schema).toMatchObject({ $id: `weightlock/${kind}/1`, type: 'object', additionalProperties: false });
      expect(schema.required).toContain('schema');
    }
  });
});
