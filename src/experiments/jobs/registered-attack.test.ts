import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Attack, attacks, type Transform, trainedParts } from '../../attacks/index.js';
import { dataSpec } from '../../data/index.js';
import { initializeModel, saveModel } from '../../models/index.js';
import { silentProgress } from '../progress.js';
import { attackExtent, attackJob } from './attack.js';
import { attackOptionsWith, transformOptions } from './attack-options.js';
import { attackPlan } from './attack-plan.js';

let root: string;
const targets = () => ({ locked: join(root, 'locked'), unlocked: join(root, 'unlocked') });
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-registered-attack-'));
  for (const [seed, path] of Object.values(targets()).entries()) {
    await saveModel(path, initializeModel('mlp', { num_labels: 2, hidden_sizes: [8, 6] }, seed + 1));
  }
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('an attack that is registered', () => {
  const options = z.strictObject({ factor: z.number().default(0.5).describe('what each weight is multiplied by') });
  const shrink: Transform<z.output<typeof options>> = {
    name: 'shrink',
    description: 'multiply all weights by a factor',
    options,
    isSeeded: false,
    applies: (_, { factor }) => (factor === 1 ? 'changes nothing by a factor of 1' : undefined),
    apply: ({ weights }, { factor }) =>
      new Map([...weights].map(([name, { shape, data }]) => [name, { shape, data: data.map((x) => factor * x) }])),
  };
  const sixth: Attack = {
    name: 'shrink',
    description: 'multiply all weights by a factor, then fine-tune',
    adaptive: true,
    transforms: [shrink as Transform],
    trained: trainedParts.get('all'),
  };
  beforeAll(() => attacks.register(sixth));

  it('has options of its own, is planned, run and noted, without another line', async () => {
    const schema = attackOptionsWith();
    const parsed = schema.parse({
      shrink: { factor: 0.25 },
      optimizers: ['sgd'],
      costSteps: 0,
      scoreSteps: 4,
      perClass: 4,
      searchSeeds: [7],
      seeds: [1],
    });
    expect(schema.shape).toHaveProperty('shrink');
    expect(transformOptions(parsed)).toMatchObject({ shrink: { factor: 0.25 }, reset: {} });
    const data = dataSpec.parse({ classes: [2, 3], testLimit: 60 });
    const whole = attackPlan(data, parsed);
    const only = { ...whole, transforms: { shrink: whole.transforms?.shrink } };
    const { rows, notes } = await attackJob(targets(), only, {
      folder: { checkpointPath: (name) => join(root, name) },
      workers: 0,
      progress: silentProgress,
    });
    expect(notes).toEqual([]);
    expect(rows.map(({ start, kind }) => `${start} ${kind}`)).toEqual([
      'unlocked fine-tune',
      'unlocked frozen',
      'unlocked white-box',
      'unlocked shrink',
      'locked fine-tune',
      'locked frozen',
      'locked white-box',
      'locked shrink',
      'random weights fine-tune',
      'random weights white-box',
    ]);
    expect(rows[7]).toMatchObject({ label: 'shrink', adaptive: true, countsAs: 'locked', optimizer: 'sgd', budget: 4 });
    expect(rows[7].composition.transforms).toEqual([{ name: 'shrink', options: { factor: 0.25 } }]);
    expect(rows[7].result.trials[0].curve).not.toEqual(rows[4].result.trials[0].curve);

    const idle = { ...only, transforms: { shrink: { factor: 1 } } };
    const extent = await attackExtent(targets(), idle);
    expect(extent.notes).toEqual([
      'Not tried on unlocked and locked: attacks with shrink, which changes nothing by a factor of 1.',
    ]);
  });
});
