import { describe, expect, it } from 'vitest';
import { attacks, attacksOfSuite, suites } from '../../attacks/index.js';
import { dataSpec } from '../../data/index.js';
import { InputError, parseOptions } from '../../registry/index.js';
import { optimizers } from '../../training/index.js';
import { attackOptions, attackOptionsWith, budgetsOfSuites, transformOptions } from './attack-options.js';
import { attackPlan, modelsOfPlan } from './attack-plan.js';

const planned = (options: unknown) => {
  const { budgets } = attackPlan(dataSpec.parse({}), parseOptions(attackOptions, options, 'attack'));
  return budgets[0].setting.optimizers;
};

describe('the optimizers of an attack', () => {
  it('are AdamW, SGD with momentum 0.9 and Adadelta with six decades each, unless others are named', () => {
    const schedule = {
      name: 'constant',
      options: { warmupSteps: 0, warmupStart: 0, initialFactor: 1, initialSteps: 0 },
    };
    expect(planned({})).toEqual([
      {
        name: 'adamw',
        options: { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0.01, amsgrad: false },
        schedule,
        decades: [-3, -2, -4, -1, -5, 0],
      },
      {
        name: 'sgd',
        options: { momentum: 0.9, dampening: 0, nesterov: false, weightDecay: 0 },
        schedule,
        decades: [-2, -3, -1, -4, 0, -5],
      },
      {
        name: 'adadelta',
        options: { rho: 0.9, eps: 1e-6, weightDecay: 0 },
        schedule,
        decades: [0, 1, -1, -2, -3, -4],
      },
    ]);
  });

  it.each(optimizers.entries())('can be $name, with options', ({ name, search }) => {
    const [first, second] = planned({
      optimizers: [name, name === 'sgd' ? 'adam' : 'sgd'],
      clipNorm: 1,
      schedule: 'linear',
      linear: { warmupSteps: 4 },
    });
    expect(first).toMatchObject({ name, decades: search.decades, clipNorm: 1 });
    expect(first.schedule).toEqual({ name: 'linear', options: { warmupSteps: 4, warmupStart: 0, endFactor: 0 } });
    expect(second.clipNorm).toBe(1);
  });

  it('refuses options of an optimizer that is not tried', () => {
    expect(() => planned({ optimizers: ['adamw'], sgd: { momentum: 0 } })).toThrow(
      'attack.sgd: expected options of adamw alone, the chosen optimizers',
    );
  });
});

describe('the attacks of a plan', () => {
  const plan = (options: object, learned = {}) =>
    attackPlan(dataSpec.parse({}), parseOptions(attackOptions, options, 'attack'), learned);

  it('are those that there always were, unless others are named', () => {
    const usual = plan({});
    expect(usual).not.toHaveProperty('attacks');
    expect(usual).not.toHaveProperty('trained');
    expect(Object.keys(usual.transforms ?? {})).toEqual(['clip', 'rescale', 'reset']);
    // What someone knows of a lock is of use to attacks that nobody named.
    const learned = { clip: { topK: 3 }, 'clip-partly': { topK: 3 }, subtract: { topK: 3 } };
    expect(plan({}, learned).transforms).toEqual({ ...usual.transforms, clip: { topK: 3 } });
    const named = plan({ attacks: ['clip-partly'] }, learned);
    expect(named.transforms).toMatchObject({ 'clip-partly': { topK: 3 } });
    expect(named.transforms).not.toHaveProperty('subtract');
  });

  it('have the options of their parts', () => {
    const found = plan({ attacks: ['lora', 'quantize', 'canonicalize'], lora: { rank: 8 }, quantize: { bits: 4 } });
    expect(found.attacks).toEqual(['lora', 'quantize', 'canonicalize']);
    expect(found.trained).toEqual({ lora: { rank: 8, alpha: 32 } });
    expect(found.transforms).toMatchObject({ quantize: { bits: 4, include: ['*'] }, canonicalize: {} });
    const mixed = plan({ attacks: ['interpolate'], interpolate: { parent: './base' } });
    expect(modelsOfPlan(mixed)).toEqual(['./base']);
    expect(modelsOfPlan(plan({}))).toEqual([]);
    expect(() => modelsOfPlan(plan({ attacks: ['interpolate'] }))).toThrow(/^interpolate\.parent: /);
  });

  it('are never left out in silence, nor are options that nothing uses', () => {
    expect(() => plan({ lora: { rank: 8 } })).toThrow(
      /^lora: expected attacks with lora among those that are tried, found fine-tune, rescale, /,
    );
    expect(() => plan({ attacks: ['dora'], lora: {} })).toThrow(/^lora: expected attacks with lora .* found dora$/);
    expect(() => plan({ attacks: ['clip-edge', 'lora'], adaptive: false })).toThrow(
      'attacks: expected adaptive attacks for clip-edge, found none',
    );
    expect(() => plan({ attacks: ['clip-reset'], reset: [] })).toThrow(
      'attacks: expected options of reset for clip-reset, found none',
    );
    expect(() => plan({ attacks: ['lora', 'lora'] })).toThrow('expected each attack once');
    expect(() => plan({ attacks: ['lorra'] })).toThrow(/^attacks: expected one of .* did you mean "lora"\?$/);
  });
});

describe('cost and score', () => {
  const plan = (options: object) =>
    attackPlan(dataSpec.parse({}), parseOptions(attackOptions, { costSteps: 40, ...options }, 'attack'));

  it('are budgets of their own, the score with few examples or with all', () => {
    const few = plan({ perClass: 3 });
    expect(few.budgets.map(({ measures, setting }) => [measures, setting.perClass])).toEqual([
      [['cost'], undefined],
      [['score'], 3],
    ]);
    // As many steps, of other batches.
    const all = plan({ perClass: 0 });
    expect(all.budgets.map(({ measures, setting }) => [measures, setting.perClass, setting.batchSize])).toEqual([
      [['cost'], undefined, 64],
      [['score'], undefined, 32],
    ]);
    for (const each of [few, all]) expect(each).not.toHaveProperty('notes');
  });

  it('are of the same runs where these would be the same, as is said', () => {
    const { budgets, notes } = plan({ perClass: 0, costBatchSize: 32, target: 0.8 });
    expect(budgets.map(({ measures }) => measures)).toEqual([['cost', 'score']]);
    expect(budgets[0].setting).toMatchObject({ steps: 40, batchSize: 32, target: 0.8, continueAfterTarget: true });
    expect(notes).toEqual([expect.stringMatching(/^Cost and score are of the same runs, /)]);
    expect(plan({ perClass: 20, costBatchSize: 32 }).budgets).toHaveLength(2);
    expect(plan({ perClass: 0, costSteps: 0, scoreSteps: 8 }).budgets.map(({ measures }) => measures)).toEqual([
      ['score'],
    ]);
  });
});

describe('the seeds of an attack', () => {
  it('are each another run, so none is given twice', () => {
    const plan = (options: unknown) => attackPlan(dataSpec.parse({}), parseOptions(attackOptions, options, 'attack'));
    expect(plan({ seeds: [4, 1], searchSeeds: [7] }).budgets[0].setting).toMatchObject({ seeds: [4, 1] });
    expect(() => plan({ seeds: [1, 1, 1, 1] })).toThrow(/^attack\.seeds: expected each seed once$/);
    expect(() => plan({ searchSeeds: [11, 12, 11] })).toThrow(/^attack\.searchSeeds: expected each seed once$/);
  });
});

describe('the search of an attack', () => {
  const plan = (options: unknown) => attackPlan(dataSpec.parse({}), parseOptions(attackOptions, options, 'attack'));
  const searchOf = (options: unknown) => plan(options).budgets.map(({ setting }) => setting.search);

  it('is the grid, and nothing of a space stands in its plan', () => {
    expect(searchOf({})).toEqual([undefined, undefined]);
    expect(plan({ search: 'grid' })).toEqual(plan({}));
  });

  it('goes over a space with what is given of it, the same in every budget', () => {
    const search = { name: 'sobol', trials: 16 };
    expect(searchOf({ search: 'sobol' })).toEqual([search, search]);
    const given = { search: 'asha', trials: 8, searchRates: [1e-4, 1], searchBatchSizes: [16, 64] };
    const found = { name: 'asha', trials: 8, learningRate: [1e-4, 1], batchSizes: [16, 64] };
    expect(searchOf({ ...given, searchAccumulate: [1, 4] })[0]).toEqual({ ...found, accumulations: [1, 4] });
    expect(searchOf({ ...given, searchSchedules: ['cosine'] })[0]).toEqual({ ...found, schedules: ['cosine'] });
  });

  it('refuses what the grid has no use for, and a range the wrong way round', () => {
    expect(() => plan({ trials: 8 })).toThrow('trials: expected a search by sobol or asha, found grid');
    expect(() => plan({ search: 'grid', searchSchedules: ['cosine'] })).toThrow('searchSchedules: expected a search');
    expect(() => plan({ search: 'sobol', searchRates: [1, 0.1] })).toThrow('expected the smaller number first');
  });
});

describe('attacks of a composition', () => {
  const plan = (options: unknown) => attackPlan(dataSpec.parse({}), parseOptions(attackOptions, options, 'attack'));
  const compositions = [
    { name: 'cut', transforms: ['clip'], trained: 'lora' },
    { name: 'mixed', transforms: [{ name: 'interpolate', options: { parent: './base' } }] },
    { name: 'norms-ema', trained: 'norms-biases', optimizers: ['sgd'] },
  ];

  it('are tried where they are named, and beside a suite', () => {
    const found = plan({ attacks: ['cut', 'mixed', 'norms-ema'], compositions });
    expect(found.attacks).toEqual(['cut', 'mixed', 'norms-ema']);
    expect(found.defined?.map(({ name, adaptive }) => [name, adaptive])).toEqual([
      ['cut', true],
      ['mixed', true],
      ['norms-ema', false],
    ]);
    expect(modelsOfPlan(found)).toEqual(['./base']);
    for (const options of [{}, { suite: 'quick' }]) {
      expect(plan({ ...options, compositions }).attacks).toEqual([
        ...attacksOfSuite('quick'),
        'cut',
        'mixed',
        'norms-ema',
      ]);
    }
    expect(plan({ suite: 'full', adaptive: false, compositions }).attacks?.slice(-2)).toEqual([
      'pretrain',
      'norms-ema',
    ]);
    expect(plan({ attacks: ['cut'], compositions: compositions.slice(0, 1), lora: { rank: 4 } }).trained).toEqual({
      lora: { rank: 4, alpha: 32 },
    });
  });

  it('are refused where one is not tried, cannot be, or is not known', () => {
    expect(() => plan({ attacks: ['cut', 'lora'], compositions })).toThrow(
      /^compositions: expected mixed among the attacks that are tried, found cut, lora$/,
    );
    expect(() => plan({ attacks: ['cut'], adaptive: false, compositions: compositions.slice(0, 1) })).toThrow(
      'attacks: expected adaptive attacks for cut, found none',
    );
    expect(() => plan({ optimizers: ['adamw'], compositions })).toThrow(
      'optimizers: expected sgd for norms-ema, found adamw',
    );
    expect(() => plan({ attacks: ['cutt', 'mixed'], compositions })).toThrow(
      /^attacks: expected one of .*cut, mixed, norms-ema, found "cutt"; did you mean "cut"\?$/,
    );
  });
});

it('searches that a plan would give one name are refused, as one would be taken for the other', () => {
  const compositions = [
    { name: 'x', trained: 'norms-biases' },
    { name: 'x-schedule-free', trained: 'norms-biases' },
  ];
  const plan = (options: object) =>
    attackPlan(dataSpec.parse({}), parseOptions(attackOptions, { ...options, compositions }, 'attack'));
  const both = ['adamw', 'schedule-free-adamw'];
  expect(() => plan({ optimizers: both })).toThrow(
    new InputError(
      'attacks: expected a name of its own for each search, found x-schedule-free-adamw for x with schedule-free-adamw and for x-schedule-free with adamw',
    ),
  );
  for (const optimizer of both) expect(plan({ optimizers: [optimizer] }).attacks).toContain('x-schedule-free');
});

describe('a suite', () => {
  const plan = (options: unknown) => attackPlan(dataSpec.parse({}), parseOptions(attackOptions, options, 'attack'));

  it('is tried as if its attacks were named, and quick is the default', () => {
    expect(plan({ suite: 'quick' }).attacks).toEqual(attacksOfSuite('quick'));
    expect(plan({}).attacks).toBeUndefined();
    const { attacks: tried, transforms = {} } = plan({ suite: 'standard' });
    expect(tried).toEqual(attacksOfSuite('standard'));
    expect(transforms['clip-edge']).toEqual({});
  });

  it('brings options that there are, and with them is a plan', () => {
    const { quick } = budgetsOfSuites;
    const { budgets, adaptiveOptimizers } = plan({ suite: 'quick', ...quick });
    expect(adaptiveOptimizers).toBe(1);
    expect(budgets.map(({ setting: { steps, seeds } }) => [steps, seeds.length])).toEqual([
      [96, 5],
      [40, 5],
    ]);
    expect(budgets[0].setting.optimizers.map(({ name }) => name)).toEqual(['adamw', 'adadelta']);
    expect(Object.keys(budgetsOfSuites).every((name) => suites.some((suite) => suite === name))).toBe(true);
  });

  it('leaves out what is turned off, which a name would be refused for', () => {
    for (const suite of suites) {
      const { attacks: left = [] } = plan({ suite, adaptive: false });
      expect(left).toEqual(attacksOfSuite(suite).filter((name) => !attacks.get(name).adaptive));
      expect(left.length).toBeGreaterThan(1);
    }
    // Attacks may be adaptive in what they train alone.
    for (const name of ['beside-top', 'preconditioned']) {
      expect(plan({ suite: 'standard' }).attacks).toContain(name);
      expect(() => plan({ attacks: ['lora', name], adaptive: false })).toThrow(
        `attacks: expected adaptive attacks for ${name}, found none`,
      );
    }
    // Who distils the model need not know that there is a lock.
    expect(plan({ suite: 'standard', adaptive: false }).transforms).toEqual({ distil: {} });
    const apart = plan({ attacks: ['distil'], adaptive: false, distil: { share: 0.25 } });
    expect(apart.transforms).toMatchObject({ distil: { share: 0.25 } });
    expect(() => plan({ attacks: ['clip-edge'], adaptive: false })).toThrow('expected adaptive attacks for clip-edge');
    expect(plan({ suite: 'full', reset: [] }).transforms?.reset).toBeUndefined();
    expect(() => plan({ suite: 'quick', attacks: ['lora'] })).toThrow('a suite or by their names, found both');
  });

  it('leaves out what none of the optimizers can train, which a name is refused for', () => {
    const optimizers = ['lbfgs'];
    expect(plan({ suite: 'standard', optimizers }).attacks).toContain('lora');
    expect(() => plan({ attacks: ['fine-tune', 'lora'], optimizers })).toThrow(
      'attacks: expected an optimizer that needs the gradient alone for lora, found lbfgs',
    );
    expect(plan({ attacks: ['lora'], optimizers: ['lbfgs', 'sgd'] }).attacks).toEqual(['lora']);
  });

  it('refuses options that ask for examples which the attacker does not have', () => {
    const data = dataSpec.parse({});
    const of = (options: unknown, retain?: typeof data) =>
      attackPlan(data, parseOptions(attackOptions, options, 'attack'), {}, { retain });
    const heal = { suite: 'standard', heal: { loss: 'cross-entropy' } };
    expect(() => of(heal)).toThrow(
      'heal: expected examples like those of the authorized task for cross-entropy, found none',
    );
    const distil = { attacks: ['distil'], distil: { inputs: 'retain' } };
    expect(() => of(distil)).toThrow('distil: expected examples like those of the authorized task, found none');
    for (const options of [heal, distil]) expect(of(options, data).budgets).toHaveLength(2);
  });
});

it('takes a list of names where a transform offers one, and none of them turns it off', () => {
  const of = (given: object) => transformOptions(attackOptionsWith().parse(given));
  expect(of({ reset: ['conv*'] }).reset).toEqual({ include: ['conv*'] });
  expect(of({ reset: [] }).reset).toBeUndefined();
  expect(attackPlan(dataSpec.parse({}), attackOptionsWith().parse({ adaptive: false })).transforms).toEqual({});
});
