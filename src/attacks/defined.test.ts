import { describe, expect, it } from 'vitest';
import { dataSpec } from '../data/index.js';
import { initializeModel } from '../models/index.js';
import {
  type AttackChoice,
  attacks,
  compositions,
  definedAttack,
  isAdaptive,
  type PlannedStart,
  planAttacks,
  plannedSearches,
  starts,
} from './index.js';

const model = initializeModel('cnn', { num_labels: 2, channels: [2, 2], hidden_sizes: [8, 8, 8] }, 1);
const from = ['unlocked', 'locked', 'random weights'].map((name): PlannedStart => {
  const kind =
    name === 'random weights' ? ({ kind: 'random', like: 'm' } as const) : ({ kind: 'model', path: 'm' } as const);
  return { start: starts.get(name), from: kind, model };
});
const setting = {
  data: dataSpec.parse({}),
  steps: 10,
  batchSize: 4,
  optimizers: ['sgd', 'adamw', 'adadelta'].map((name) => ({ name, decades: [-2] })),
  searchSeeds: [5],
  seeds: [1],
};
const define = (...given: object[]) => compositions.parse(given).map(definedAttack);
const planned = (choice: AttackChoice) => plannedSearches(planAttacks(from, choice), setting, choice);

it('an attack is adaptive where one of its parts is, as the registry says of its entries', () => {
  for (const attack of attacks.entries())
    expect([attack.name, isAdaptive(attack)]).toEqual([attack.name, attack.adaptive]);
});

describe('an attack that somebody writes', () => {
  const [soft] = define({
    name: 'soft-clip',
    transforms: [{ name: 'clip', options: { topK: 2 } }, 'quantize'],
    trained: { name: 'lora', options: { rank: 8 } },
    optimizers: ['adamw', 'lion'],
  });
  const choice = {
    defined: [soft],
    attacks: ['soft-clip', 'clip'],
    transforms: { clip: { topK: 5, lead: { topK: 6, include: ['conv*'] } }, quantize: { bits: 4 } },
    trained: { lora: { rank: 16, alpha: 3 } },
  };

  it('is tried as any other, with its own options beside those of all, and rows say what it is', () => {
    const made = planned(choice).filter(({ facts }) => facts.kind === 'soft-clip');
    // Nothing of a lock to cut back in the unlocked model, and none of the other optimizers.
    expect(made.map(({ facts, task }) => [facts.start, task.optimizer.name])).toEqual([['locked', 'adamw']]);
    const [{ facts, task }] = made;
    expect(facts).toMatchObject({ label: 'clip + quantize', use: 'LoRA', adaptive: true, trains: true, plain: false });
    expect(facts.countsAs).toBe('locked');
    expect(facts.knows).toContain('how many singular values of each matrix the lock raised');
    expect(task.transforms).toEqual([
      { name: 'clip', options: { topK: 2, lead: { topK: 6, include: ['conv*'] } } },
      { name: 'quantize', options: { bits: 4 } },
    ]);
    expect(task.trained).toEqual({ name: 'lora', options: { rank: 8, alpha: 3 } });
    // Plain data, for other processes.
    expect(structuredClone(made)).toEqual(made);
  });

  it('is tried on random weights as well where it asks nothing of a release', () => {
    const defined = define(
      { name: 'gentle', transforms: ['rescale'], trained: 'ema' },
      { name: 'low-rank', transforms: ['rescale'], trained: 'lora' },
      { name: 'cut-ema', transforms: ['clip'], trained: 'ema' },
    );
    const found = planned({ defined, attacks: defined.map(({ name }) => name), transforms: {} });
    const random = found.filter(({ facts }) => facts.start === 'random weights').map(({ facts }) => facts.kind);
    expect(new Set(random)).toEqual(new Set(['fine-tune', 'gentle']));
  });

  it('leaves the options of other attacks alone', () => {
    const others = planned(choice).filter(({ facts }) => facts.kind === 'clip');
    expect(others.map(({ task }) => task.transforms)).toEqual(
      Array(3).fill([{ name: 'clip', options: choice.transforms.clip }]),
    );
    expect(others[0].task.trained?.name).toBe('all');
  });

  it('can do nothing where its own options match nothing, which is said of it alone', () => {
    const [none] = define({ name: 'none-cut', transforms: [{ name: 'clip', options: { include: ['head.*'] } }] });
    const { tried, notes } = planAttacks(from, { ...choice, defined: [none], attacks: ['none-cut', 'clip'] });
    expect(tried.map(({ attack, start }) => `${start.start.name} ${attack.name}`)).toContain('locked clip');
    expect(tried.some(({ attack }) => attack.name === 'none-cut')).toBe(false);
    expect(notes).toContain(
      'Not tried on locked: attacks with clip, which finds no weight matrix that matches head.*.',
    );
  });

  it('counts to the floor where it is made of outputs alone', () => {
    const floor = define({ name: 'small-student', transforms: ['distil', 'prune'] });
    const made = planned({ defined: floor, attacks: ['small-student'] });
    const own = made.filter(({ facts }) => facts.kind === 'small-student');
    expect(new Set(own.map(({ facts }) => facts.countsAs))).toEqual(new Set(['floor']));
  });

  it.each([
    ['an attack that there is', { name: 'lora' }, 'expected a new name, lora is an attack that there is'],
    ['a name that is no file name', { name: '../x' }, 'expected lower-case letters, digits and dashes, at most 64'],
    ['a transform', { transforms: ['clipp'] }, /^transform: expected one of .*; did you mean "clip"\?$/],
    ['a part', { trained: 'lorra' }, /^trained part: expected one of .*; did you mean "lora"\?$/],
    ['an optimizer', { optimizers: ['adamww'] }, /^optimizer: expected one of .*; did you mean "adamw"\?$/],
    [
      'an option',
      { transforms: [{ name: 'quantize', options: { bit: 4 } }] },
      /^quantize: unknown key "bit", expected only bits, include; did you mean bits\?$/,
    ],
    ['a value', { trained: { name: 'lora', options: { rank: 0 } } }, /^lora\.rank: /],
    ['an option that is needed', { transforms: ['interpolate'] }, /^interpolate\.parent: /],
    ['a form', { transforms: [{ clip: { topK: 2 } }] }, 'expected the name of a part, or the keys name and options'],
    ['one thing twice', { transforms: ['clip', 'heal', 'clip'] }, 'expected each transform once, found clip again'],
    [
      'another architecture late',
      { transforms: ['clip', 'plain-mlp'] },
      'expected plain-mlp first: it changes the architecture',
    ],
    ['what undoes the rest', { transforms: ['clip', 'distil'] }, 'expected distil first: it begins with fresh weights'],
    [
      'what the classifier does not see',
      { transforms: ['clip'], trained: 'none' },
      "expected no transforms before none, which uses the released model's outputs alone",
    ],
  ])('is refused for %s', (_, given, message) => {
    const { error } = compositions.safeParse([{ name: 'mine', ...given }]);
    expect(error?.issues.map((issue) => issue.message)).toEqual([
      typeof message === 'string' ? message : expect.stringMatching(message),
    ]);
  });

  it('has a name of its own', () => {
    const { error } = compositions.safeParse([{ name: 'mine' }, { name: 'mine' }]);
    expect(error?.issues[0]?.message).toBe('expected each name once');
  });
});
