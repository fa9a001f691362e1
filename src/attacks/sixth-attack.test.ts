import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { dataSpec } from '../data/index.js';
import { initializeModel, type Model, type StateDict, saveModel } from '../models/index.js';
import { matchesAny } from '../registry/index.js';
import {
  type Attack,
  AttackRunner,
  attackersAdvantage,
  attacks,
  compositionOf,
  planAttacks,
  plannedSearches,
  plannedStarts,
  type SearchResult,
  searchFineTuning,
  someWeights,
  starts,
  type TrainedPart,
  type Transform,
  trainedParts,
  transforms,
} from './index.js';

/*
 * What a contributor writes who adds an attack: a file that exports `patternsAttack`, and its name in the registry's list.
 * Here the entry is registered, which is the same line.
 */

const zeroOptions = z.strictObject({ share: z.number().min(0).max(1).default(0.5).describe('share of each weight') });

/** Sets the first values of every weight matrix to 0. */
const zero: Transform<z.output<typeof zeroOptions>> = {
  name: 'zero',
  description: 'set a share of the weights to 0',
  options: zeroOptions,
  isSeeded: false,
  knows: 'nothing more',
  apply: ({ weights }, { share }) =>
    new Map(
      [...weights].map(([name, { shape, data }]) => {
        const cut = shape.length > 1 ? Math.round(share * data.length) : 0;
        return [name, { shape, data: data.map((value, index) => (index < cut ? 0 : value)) }];
      }),
    ),
};

const patternOptions = z.strictObject({ include: z.array(z.string()).default(['*']).describe('names of the weights') });

/** Trains the weights of some names alone. */
const patterns: TrainedPart<z.output<typeof patternOptions>> = {
  name: 'patterns',
  description: 'train the weights of some names',
  label: 'fine-tuning of some layers',
  options: patternOptions,
  trains: true,
  applies: ({ weights }, { include }) =>
    [...weights.keys()].some(matchesAny(include)) ? undefined : `find no weight that matches ${include.join(', ')}`,
  search: (context, { include }) => searchFineTuning(context, someWeights(matchesAny(include))),
};

const sixth: Attack = {
  name: 'zero-patterns',
  description: 'set a share of the weights to 0 and train the last layer alone',
  adaptive: true,
  transforms: [zero as Transform],
  trained: patterns as TrainedPart,
  trainedOptions: { include: ['fc3.*'] },
};

let root: string;
let model: Model;
const at = (name: string) => join(root, name);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-sixth-'));
  model = initializeModel('mlp', { num_labels: 2, hidden_sizes: [8, 6] }, 1);
  await saveModel(at('locked'), model);
  await saveModel(at('unlocked'), initializeModel('mlp', { num_labels: 2, hidden_sizes: [8, 6] }, 2));
  attacks.register(sixth);
});
afterAll(() => rm(root, { recursive: true, force: true }));

const setting = {
  data: dataSpec.parse({ classes: [2, 3], testLimit: 60 }),
  perClass: 8,
  steps: 6,
  batchSize: 8,
  optimizers: [{ name: 'sgd', options: { momentum: 0.9 }, decades: [-1] }],
  refine: false,
  searchSeeds: [7],
  seeds: [1, 2],
  giveUpBelow: -1,
};

describe('an attack of a transform and a trained part of its own', () => {
  const targets = () => ({ locked: at('locked'), unlocked: at('unlocked') });
  const choice = { transforms: { zero: { share: 0.25 } } };

  it('brings its parts into their registries', () => {
    expect(transforms.get('zero')).toBe(zero);
    expect(trainedParts.get('patterns')).toBe(patterns);
    // Another part of the same name would be found in its place.
    const twin = { ...sixth, name: 'twin', transforms: [{ ...(zero as Transform) }] };
    expect(() => attacks.register(twin)).toThrow('"zero" is registered already');
  });

  it('is planned, run and judged like every other, from what its entries say', async () => {
    const planned = planAttacks(await plannedStarts(targets()), choice);
    expect(planned.notes).toEqual([]);
    const searches = plannedSearches(planned, setting, choice);
    expect(searches.map(({ facts }) => `${facts.start} ${facts.kind}`)).toEqual([
      'unlocked fine-tune',
      'unlocked frozen',
      'unlocked white-box',
      'unlocked zero-patterns',
      'locked fine-tune',
      'locked frozen',
      'locked white-box',
      'locked zero-patterns',
      'random weights fine-tune',
      'random weights white-box',
    ]);
    const runner = new AttackRunner();
    const rows = [];
    for (const { facts, task } of structuredClone(searches)) {
      const result: SearchResult = await runner.run({ ...task, id: facts.kind });
      const composition = compositionOf(task);
      rows.push({ ...facts, composition, measure: 'score' as const, optimizer: 'sgd', budget: 6, result });
    }
    await runner.release();
    expect(rows[7]).toMatchObject({
      kind: 'zero-patterns',
      label: 'zero',
      first: ['zero'],
      use: 'fine-tuning of some layers',
      adaptive: true,
      plain: false,
      knows: ['that there is a lock', 'nothing more'],
      countsAs: 'locked',
      composition: {
        transforms: [{ name: 'zero', options: { share: 0.25 } }],
        trained: { name: 'patterns', options: { include: ['fc3.*'] } },
        optimizer: { name: 'sgd', options: { momentum: 0.9 } },
        data: { perClass: 8 },
      },
    });
    expect(new Set(rows.map(({ result }) => JSON.stringify(result.trials.map(({ curve }) => curve)))).size).toBe(10);
    const only = attackersAdvantage(rows, 'score', {
      only: ({ kind, countsAs }) => kind === 'zero-patterns' || countsAs === 'floor',
    });
    expect([only?.locked.kind, only?.unlocked.kind]).toEqual(['zero-patterns', 'zero-patterns']);
  });

  it('trains what its part names, and nothing else', async () => {
    let trained: StateDict = new Map();
    const spy: TrainedPart = {
      ...(patterns as TrainedPart),
      name: 'spied patterns',
      search: (context) =>
        searchFineTuning(context, (weights, shapes) => {
          trained = new Map([...weights].map(([name, data]) => [name, { shape: [], data }]));
          return someWeights(matchesAny(['fc3.*']))(weights, shapes);
        }),
    };
    attacks.register({ ...sixth, name: 'spied', transforms: [], trained: spy });
    const planned = planAttacks(await plannedStarts({ locked: at('locked') }));
    const search = plannedSearches(planned, setting).find(({ facts }) => facts.kind === 'spied');
    const runner = new AttackRunner();
    if (search) await runner.run({ ...search.task, id: 'spied' });
    await runner.release();
    const changed = [...model.weights].filter(([name, { data }]) => String(trained.get(name)?.data) !== String(data));
    expect(changed.map(([name]) => name)).toEqual(['fc3.weight', 'fc3.bias']);
  });

  it('is left out with a sentence where its part finds nothing to train', async () => {
    attacks.register({ ...sixth, name: 'nowhere', trainedOptions: { include: ['head.*'] } });
    const { notes } = planAttacks(await plannedStarts({ locked: at('locked') }), choice);
    expect(notes).toEqual([
      'Not tried on locked: attacks that train the weights of some names, which find no weight that matches head.*.',
    ]);
  });

  it('may also be tried from a further starting point, which is one more entry', async () => {
    starts.register({
      name: 'distilled',
      description: 'the model after the same retain training without the lock',
      isLocked: false,
      countsAs: 'nothing',
      from: ({ others, config }) => {
        const path = others?.distilled;
        return path === undefined ? undefined : { kind: 'model', path, config };
      },
    });
    const distilled = { others: { distilled: at('unlocked') } };
    const planned = planAttacks(await plannedStarts({ ...targets(), ...distilled }), choice);
    const of = plannedSearches(planned, setting, choice).filter(({ facts }) => facts.start === 'distilled');
    expect(of.map(({ facts }) => [facts.kind, facts.countsAs])).toEqual([
      ['fine-tune', 'nothing'],
      ['frozen', 'nothing'],
      ['white-box', 'nothing'],
      ['zero-patterns', 'nothing'],
      ['spied', 'nothing'],
    ]);
    expect((await plannedStarts(targets())).map(({ start }) => start.name)).not.toContain('distilled');
  });
});
