import { describe, expect, it } from 'vitest';
import { dataSpec } from '../data/index.js';
import { exactSingularValues } from '../linalg/index.js';
import { initializeModel, type StateDict } from '../models/index.js';
import {
  type AttackChoice,
  attacks,
  attacksOfSuite,
  drawsLeftOut,
  drawsNotSearched,
  optimizersLeftOut,
  type PlannedStart,
  planAttacks,
  plannedSearches,
  raisedOptions,
  starts,
  suites,
  transformWeights,
} from './index.js';

const config = { num_labels: 2, channels: [2, 2], hidden_sizes: [8, 8, 8] };
const model = initializeModel('cnn', config, 1);

const sigmaOf = (weights: StateDict, name: string) => {
  const { shape, data } = weights.get(name) ?? { shape: [0], data: new Float32Array() };
  return [...exactSingularValues(data, shape[0], data.length / shape[0])];
};

/** A lock that raised k singular values of every matrix, without a leading stage. */
const raised = (topK: number) => raisedOptions.parse({ topK, lead: { include: [] } });

/** What each attack must do to the released weights before it trains, checked on the weights themselves. */
describe('the registry', () => {
  const setting = {
    data: dataSpec.parse({}),
    steps: 10,
    batchSize: 4,
    optimizers: [
      { name: 'sgd', decades: [-2] },
      { name: 'adamw', decades: [-3] },
    ],
    searchSeeds: [5],
    seeds: [1],
  };
  const options = { clip: raised(1), rescale: { sigma: 7 }, reset: { include: ['fc3*'] } };
  const fresh = (seed: number) => initializeModel('cnn', config, 100 + seed).weights;

  /** The model of these tests in the place of a starting point. */
  const onModel = (name: string): PlannedStart => {
    const start = starts.get(name);
    const path = 'm';
    return { start, from: name === 'random weights' ? { kind: 'random', like: path } : { kind: 'model', path }, model };
  };

  it.each(attacksOfSuite('quick').map((name) => [name, attacks.get(name)] as const))(
    '%s does what its name says and nothing else',
    async (name, attack) => {
      expect(attack.description).toMatch(/^[a-z].{20,}$/);
      const made = plannedSearches({ tried: [{ attack, start: onModel('locked') }] }, setting, { transforms: options });
      expect(made.map(({ task: { optimizer } }) => optimizer.name)).toEqual(
        ['frozen', 'white-box'].includes(name) ? ['lbfgs'] : ['sgd', 'adamw'],
      );
      const words = name.split('-');
      expect(structuredClone(made)).toEqual(made);
      const [{ task, facts }] = made;
      expect(facts).toMatchObject({
        start: 'locked',
        kind: name,
        trains: !['frozen', 'white-box'].includes(name),
        plain: name === 'fine-tune',
      });
      expect(facts.countsAs).toBe(name === 'frozen' ? 'floor' : 'locked');
      expect(facts.adaptive).toBe(words.some((word) => word in options));
      expect(facts.knows.length > 0).toBe(facts.adaptive);
      expect(facts.knows.some((what) => what.includes('singular values'))).toBe(words.includes('clip'));

      const weights = await transformWeights(model, model.weights, task.transforms ?? [], fresh)(3);
      const before = sigmaOf(model.weights, 'fc1.weight');
      const after = sigmaOf(weights, 'fc1.weight');
      // A clip of one value makes the two largest equal; a rescaling brings the largest to 7 and keeps all ratios.
      expect(Math.abs(after[0] / after[1] - (words.includes('clip') ? 1 : before[0] / before[1]))).toBeLessThan(1e-5);
      expect(Math.abs(after[2] / after[1] - before[2] / before[1])).toBeLessThan(1e-5);
      const unclipped = words.includes('clip') ? before[1] : before[0];
      expect(Math.abs(after[0] - (words.includes('rescale') ? 7 : unclipped))).toBeLessThan(1e-3);
      const drawn = fresh(3).get('fc3.weight')?.data;
      expect(String(weights.get('fc3.weight')?.data) === String(drawn)).toBe(words.includes('reset'));
      if (name === 'fine-tune' || name === 'frozen') expect(weights).toBe(model.weights);
    },
  );

  it('tries what is named, and the floor', () => {
    const from = ['unlocked', 'locked', 'random weights'].map(onModel);
    const names = (choice: AttackChoice) =>
      planAttacks(from, { transforms: options, ...choice }).tried.map(
        ({ attack, start }) => `${start.start.name} ${attack.name}`,
      );
    expect(names({ attacks: ['lora', 'clip'] })).toEqual([
      'unlocked lora',
      'locked clip',
      'locked frozen',
      'locked lora',
      'random weights fine-tune',
    ]);
    expect(names({ attacks: attacksOfSuite('quick') })).toEqual(names({}));
    expect(() => names({ attacks: ['lorra'] })).toThrow(
      /^attack: expected one of .* found "lorra"; did you mean "lora"\?$/,
    );
  });

  it('has suites, each with the one before; the first is what was tried before there were any', () => {
    expect(attacksOfSuite('quick')).toEqual([
      'fine-tune',
      'rescale',
      'clip',
      'clip-rescale',
      'reset',
      'rescale-reset',
      'clip-reset',
      'clip-rescale-reset',
      'frozen',
      'white-box',
    ]);
    const [quick, standard, full] = suites.map((suite) => new Set(attacksOfSuite(suite)));
    expect([...quick].every((name) => standard.has(name)) && [...standard].every((name) => full.has(name))).toBe(true);
    // What cannot be tried without options is in none.
    expect(attacks.names().filter((name) => !full.has(name))).toEqual([
      'by-name',
      'interpolate',
      'word-vectors',
      'word-vectors-white-box',
    ]);
  });

  it('gives a trained part the options that an attacker chose', () => {
    const tried = [{ attack: attacks.get('lora'), start: onModel('locked') }];
    const partOf = (choice: AttackChoice) => plannedSearches({ tried }, setting, choice)[0].task.trained;
    expect(partOf({})).toEqual({ name: 'lora', options: undefined });
    expect(partOf({ trained: { lora: { rank: 8 } } })).toEqual({ name: 'lora', options: { rank: 8 } });
    const lbfgs = { ...setting, optimizers: [...setting.optimizers, { name: 'lbfgs', decades: [0] }] };
    expect(optimizersLeftOut({ tried }, lbfgs)).toEqual([
      'lora is not tried with lbfgs: not all weights are trained, which needs an optimizer of the gradient alone.',
    ]);
    expect(optimizersLeftOut({ tried }, setting)).toEqual([]);
  });

  it('leaves out what an attacker has no options for', () => {
    const { tried, notes } = planAttacks([onModel('locked')], { transforms: { rescale: {} } });
    expect(tried.map(({ attack }) => attack.name)).toEqual(['fine-tune', 'rescale', 'frozen', 'white-box']);
    expect(notes).toEqual([]);
  });

  it('leaves out what can do nothing, and says so in one sentence for all starting points', () => {
    const from = ['unlocked', 'locked', 'random weights'].map(onModel);
    const given = { ...options, reset: { include: ['head.*'] } };
    const { tried, notes } = planAttacks(from, { transforms: given });
    expect(tried.map(({ attack, start }) => `${start.start.name} ${attack.name}`)).toEqual([
      'unlocked fine-tune',
      'unlocked rescale',
      'unlocked frozen',
      'unlocked white-box',
      'locked fine-tune',
      'locked rescale',
      'locked clip',
      'locked clip-rescale',
      'locked frozen',
      'locked white-box',
      'random weights fine-tune',
      'random weights rescale',
      'random weights white-box',
    ]);
    expect(notes).toEqual([
      'Not tried on unlocked: attacks with clip, which needs singular values that a lock raised.',
      'Not tried on unlocked and locked: attacks with reset, which finds no weight that matches head.*.',
    ]);
  });

  it('names those that one reason leaves out of the same starting points in one sentence', () => {
    const transforms = { ...options, 'clip-partly': {}, reset: { include: ['head.*'] } };
    const from = ['unlocked', 'sham-locked'].map(onModel);
    const { notes } = planAttacks(from, { attacks: ['clip', 'clip-partly', 'reset'], transforms });
    expect(notes).toEqual([
      'Not tried on unlocked: attacks with clip or clip-partly, which needs singular values that a lock raised.',
      'Not tried on unlocked and sham-locked: attacks with reset, which finds no weight that matches head.*.',
    ]);
  });

  it('says which of the patterns that were given match nothing, where others do', () => {
    const transforms = { reset: { include: ['fc3*', 'hed*'] }, clip: { lead: { include: ['cnov*'] } } };
    const { notes } = planAttacks([onModel('locked')], { transforms });
    expect(notes).toEqual(['clip.lead: no weight matches cnov*.', 'reset: no weight matches hed*.']);
  });

  it('says so too of patterns for what is trained and for matrices', () => {
    const names = ['lora', 'by-name', 'quantize'];
    const trained = {
      lora: { include: ['fc1*', 'fx*'], also: ['gc*'] },
      'by-name': { include: ['fc*'], exclude: ['bais'] },
    };
    const { notes } = planAttacks([onModel('locked')], {
      attacks: names,
      trained,
      transforms: { quantize: { include: ['fc*', 'cnov*'] } },
    });
    expect(notes).toEqual([
      'quantize.include: no weight matches cnov*.',
      'lora.include: no weight matches fx*. lora.also: no weight matches gc*.',
      'by-name.exclude: no weight matches bais.',
    ]);
  });

  it('names draws that no reported run takes', () => {
    const locked = onModel('locked');
    const three = { ...locked, from: { kind: 'model' as const, path: 'a', draws: ['b', 'c'] } };
    const [attack] = attacks.entries();
    const of = (seeds: number[], start = three) => drawsLeftOut({ tried: [{ attack, start }] }, { seeds });
    expect(of([1, 2, 3])).toEqual([]);
    expect(of([1, 4])).toEqual([
      '2 of 3 draws of locked are not attacked: a run takes the draw of its seed modulo 3, and the seeds are 1, 4.',
    ]);
    // A search alone reports nothing, and one draw is always taken.
    expect([of([]), of([7], locked as typeof three)]).toEqual([[], []]);
  });

  it('names how many draws searches see, in one sentence for all of them', () => {
    const locked = onModel('locked');
    const three = { ...locked, from: { kind: 'model' as const, path: 'a', draws: ['b', 'c'] } };
    const tried = attacks
      .entries()
      .slice(0, 2)
      .flatMap((attack) => [
        { attack, start: three },
        { attack, start: onModel('unlocked') },
      ]);
    const setting = (searchSeeds: number[], more: object = {}) => ({
      ...{ data: dataSpec.parse({}), steps: 8, batchSize: 4, seeds: [1, 2, 3], searchSeeds },
      optimizers: ['adamw', 'sgd'].map((name) => ({ name, decades: [-2, -3] })),
      ...more,
    });
    const of = (...given: Parameters<typeof setting>) =>
      drawsNotSearched(plannedSearches({ tried }, setting(...given)));
    expect(of([11])).toEqual([
      'Searches see 1 of 3 draws of locked: a trial takes the draw of its seed modulo 3, and the seeds of the searches are 11.',
    ]);
    expect(of([11, 14, 12])).toEqual([expect.stringMatching(/^Searches see 2 of 3 draws .* are 11, 14, 12\.$/)]);
    expect(of([1, 2, 6])).toEqual([]);
    // Where there is one rate alone nothing is searched.
    expect(of([11], { optimizers: [{ name: 'sgd', decades: [-2] }], refine: false })).toEqual([]);
  });

  it('tries on the control what it tries on the locked model, but a student of its outputs', () => {
    const transforms = { ...options, distil: {}, canonicalize: {} };
    const choice = { attacks: ['clip', 'clip-rescale', 'canonicalize', 'distil', 'ema'], transforms };
    const on = (start: string) => planAttacks([onModel(start)], choice).tried.map(({ attack }) => attack.name);
    expect(on('locked')).toEqual(['clip', 'clip-rescale', 'frozen', 'ema', 'canonicalize', 'distil']);
    expect(on('sham-locked')).toEqual(['clip', 'clip-rescale', 'ema', 'canonicalize']);
    expect(on('random weights')).toEqual(['fine-tune', 'ema', 'canonicalize']);
  });

  it('attacks all draws of a lock, and of its control', () => {
    const targets = { locked: 'a', lockedDraws: ['b'], sham: 'c', shamDraws: ['d', 'e'] };
    expect(starts.get('locked').from(targets)).toMatchObject({ path: 'a', draws: ['b'] });
    expect(starts.get('sham-locked').from(targets)).toMatchObject({ path: 'c', draws: ['d', 'e'] });
  });

  it('counts another public model to the floor: what needs no release is tried on it, with examples that it reads', () => {
    const reads = { data: dataSpec.parse({ classes: [0, 1] }) };
    const named = ['clip', 'rescale', 'lora', 'frozen', 'white-box', 'distil', 'heal'];
    const choice = { attacks: named, transforms: { ...options, distil: {}, heal: {} } };
    const from = [{ ...onModel('another model'), reads }, onModel('locked')];
    const shared = { ...setting, retain: dataSpec.parse({}), authorized: dataSpec.parse({}), steps: 100 };
    const made = plannedSearches(planAttacks(from, choice), shared, choice);
    const on = (name: string) => made.filter(({ facts }) => facts.start === name);
    const other = on('another model');
    expect([...new Set(other.map(({ facts }) => facts.kind))]).toEqual([
      ...['fine-tune', 'rescale', 'frozen', 'white-box', 'lora'],
    ]);
    expect(new Set(other.map(({ facts }) => facts.countsAs))).toEqual(new Set(['floor']));
    for (const { task } of other) {
      expect(task).toMatchObject(reads);
      expect([task.retain, task.authorized]).toEqual([undefined, undefined]);
    }
    expect(on('locked').map(({ task }) => task.data.classes)).toEqual(on('locked').map(() => []));
    expect(starts.get('another model').from({ locked: 'a' })).toBeUndefined();
  });

  it('has one plain attack, and from random weights what needs no model is tried', () => {
    expect(attacks.entries().filter(({ plain }) => plain)).toHaveLength(1);
    const { tried } = planAttacks([onModel('random weights')], { transforms: options });
    expect(tried.map(({ attack }) => attack.name)).toEqual(['fine-tune', 'rescale', 'white-box']);
    const plain = planAttacks(['unlocked', 'locked'].map(onModel), { transforms: options, plainFrom: ['locked'] });
    expect(plain.tried.map(({ attack, start }) => [attack.name, start.start.name])).toEqual([['fine-tune', 'locked']]);
  });
});
