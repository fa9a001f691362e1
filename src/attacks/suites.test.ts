import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type DataParts, dataSpec, loadData } from '../data/index.js';
import { ProgramCache } from '../engine/index.js';
import { svd } from '../linalg/index.js';
import { drawsOf, mixWithFresh } from '../locks/index.js';
import { cloneWeights, initializeModel, type Model, parameterSet, type StateDict } from '../models/index.js';
import { Evaluator, type ParameterSet } from '../training/index.js';
import {
  type Attack,
  attacks,
  attacksOfSuite,
  type Bench,
  marchenkoPasturMedian,
  type PlannedStart,
  plannedSearches,
  raisedOptions,
  type SearchContext,
  starts,
  trainedParts,
} from './index.js';
import { withSingularValues } from './transforms/spectrum.js';
import { TransformedWeights } from './workers/transformed-weights.js';

const config = { num_labels: 3, hidden_sizes: [12, 10, 8] };
const seed = 3;
const programs = new ProgramCache({ threads: 1 });
const drawn = initializeModel('mlp', config, 1);
const evaluator = new Evaluator(drawn, { threads: 1 });
const fresh = (of: number) => initializeModel('mlp', config, 100 + of).weights;
let own: DataParts;
let retain: DataParts;
beforeAll(async () => {
  own = await loadData(dataSpec.parse({ classes: [3, 4, 5], testLimit: 60 }));
  retain = await loadData(dataSpec.parse({ classes: [0, 1, 2], testLimit: 60 }));
});
afterAll(async () => {
  await Promise.all([programs.release(), evaluator.release()]);
});

const dataOf = (weights: StateDict | ParameterSet, name: string): Float32Array => {
  const found = weights.get(name) ?? new Float32Array();
  return 'data' in found ? found.data : found;
};
const columnsOf: Record<string, number> = { 'fc1.weight': 784, 'fc2.weight': 12, 'fc3.weight': 10, 'fc4.weight': 8 };
const matrices = Object.keys(columnsOf);
const sigmaOf = (data: Float32Array, name: string) => [
  ...svd(data, data.length / columnsOf[name], columnsOf[name]).sigma,
];
const norm = (data: ArrayLike<number>) => Math.hypot(...Array.from(data));
const difference = (a: StateDict | ParameterSet, b: StateDict | ParameterSet, name: string) =>
  dataOf(a, name).map((value, index) => value - dataOf(b, name)[index]);
/** Of `uᵀ D`, u the largest left singular vector of the released matrix, the length as a share of that of D. */
const alongTop = (change: Float32Array, name: string) => {
  const columns = columnsOf[name];
  const { u, sigma } = svd(dataOf(released, name), change.length / columns, columns);
  const along = Array.from({ length: columns }, (_, column) =>
    Array.from(
      { length: change.length / columns },
      (__, row) => u[row * sigma.length] * change[row * columns + column],
    ),
  );
  return norm(along.map((terms) => terms.reduce((sum, value) => sum + value, 0))) / norm(change);
};
const withData = (weights: StateDict, change: Record<string, (data: Float32Array) => Float32Array>): StateDict =>
  new Map([...weights].map(([name, { shape, data }]) => [name, { shape, data: (change[name] ?? ((x) => x))(data) }]));

/** A lock that raised the largest singular value of every matrix but the head's sixfold. */
const released: StateDict = withData(
  drawn.weights,
  Object.fromEntries(
    matrices.slice(0, -1).map((name) => [
      name,
      (data) => {
        const columns = columnsOf[name];
        return withSingularValues({ data, rows: data.length / columns, columns }, ([first]) => [6 * first]);
      },
    ]),
  ),
);
/** The same function: what each unit of the first layer gives is a power of two as large, and read so much smaller. */
const rescaled = withData(released, {
  'fc1.weight': (data) => data.map((value, at) => value * 2 ** (Math.floor(at / 784) % 5)),
  'fc1.bias': (data) => data.map((value, at) => value * 2 ** (at % 5)),
  'fc2.weight': (data) => data.map((value, at) => value / 2 ** ((at % 12) % 5)),
});
/** Its fourth unit of the second layer is dead. */
const dormant = withData(released, { 'fc2.bias': (data) => data.map((value, at) => (at === 3 ? -1e4 : value)) });

/** Half of it is fresh numbers of a seed that anyone tries. */
const mixed = cloneWeights(released);
mixWithFresh(drawn, mixed, { a: 0.5, draws: drawsOf(3), include: ['*'], exclude: [] });

/** What an attack did: the weights that it was given, that its transforms made of them, that its training ended with. */
interface Done {
  readonly given: StateDict;
  readonly begun: StateDict;
  readonly ended: ParameterSet;
  readonly steps: number;
}

const options = {
  ...{ clip: raisedOptions.parse({ topK: 1, lead: { include: [] } }), rescale: {}, reset: { include: ['fc3*'] } },
  ...{ canonicalize: {}, 'clip-edge': {}, 'clip-profile': {}, subtract: { topK: 1 }, quantize: { bits: 3 } },
  ...{ 'clip-partly': { topK: 1, lead: { include: [] } }, prune: {}, noise: {}, 'reset-dormant': {} },
  ...{
    'redistil-blocks': { learningRates: [1e-2] },
    distil: { learningRates: [1e-2] },
    heal: { learningRates: [2e-3] },
  },
};
const parts = { lora: { rank: 2 }, dora: { rank: 2 } };

/** An attack as it is planned on a lock, with a trial of three steps of its own by AdamW. */
async function done(attack: Attack, { given = released, model = drawn }: { given?: StateDict; model?: Model } = {}) {
  const start: PlannedStart = { start: starts.get('locked'), from: { kind: 'model', path: 'm' }, model };
  const setting = {
    ...{ data: dataSpec.parse({}), steps: 48, batchSize: 32, searchSeeds: [5], seeds: [seed] },
    optimizers: [{ name: 'adamw', decades: [-2] }],
  };
  const choice = { transforms: options, trained: parts };
  const [{ task, facts }] = plannedSearches({ tried: [{ attack, start }] }, setting, choice);
  expect(facts).toMatchObject({ kind: attack.name, trains: true, plain: false, adaptive: attack.adaptive });
  const measure = model === drawn ? evaluator : new Evaluator(model, { threads: 1 });
  const runnable = { model, evaluator: measure, programs };
  const bench: Bench = {
    ...{ released: { ...runnable, weights: given }, attacked: runnable },
    ...{ own: own.train, retain: retain.train, steps: task.steps, batchSize: task.batchSize },
  };
  const { weights: begun, work } = await new TransformedWeights().get(
    { key: '', model, weights: given, fresh, bench: { key: '', of: async () => bench } },
    task.transforms ?? [],
    seed,
  );
  expect(work.notes ?? []).toEqual(
    attack.name === 'redistil-blocks' ? ['redistil-blocks had steps for the last 1 of 3 blocks alone'] : [],
  );
  let ended: ParameterSet = new Map();
  const evaluate = Evaluator.prototype.evaluate.bind(measure);
  const watched = vi.spyOn(measure, 'evaluate').mockImplementation((params, ...rest) => {
    ended = new Map(Array.from(params, ([name, data]) => [name, data.slice()]));
    return evaluate(params, ...rest);
  });
  const context: SearchContext = {
    ...{ model, prepared: async () => ({ weights: begun, work }), train: () => own.train, programs, log: {} },
    released: async () => ({ weights: given, evaluator: measure }),
    ...{ weightsOf: () => 'all', releasedOf: () => 'all' },
    optimizer: { name: 'adamw', options: { weightDecay: 0 } },
    shared: { test: own.test, steps: work.steps + 3, batchSize: 32, giveUpBelow: -1 },
    budget: { decades: [-2], refine: false, searchSeeds: [5], seeds: [seed] },
    evaluator: measure,
  };
  const part = trainedParts.get(task.trained?.name ?? 'all');
  await part.search(context, part.options.parse(task.trained?.options ?? {}));
  watched.mockRestore();
  if (measure !== evaluator) await measure.release();
  return { given, begun, ended, steps: work.steps };
}

const changed = (before: StateDict, after: ParameterSet | StateDict) =>
  [...before.keys()].filter((name) => norm(difference(before, after, name)) > 0);
const isSame = (before: StateDict, after: StateDict) => expect(changed(before, after)).toEqual([]);
/** What fine-tuning of all weights does otherwise, from the same weights. */
const plainly = (given: StateDict) => done({ ...attacks.get('fine-tune'), plain: false }, { given });
const lossOn = async (weights: StateDict | ParameterSet, { test }: DataParts, original?: StateDict) => {
  const params = parameterSet(
    new Map([...drawn.weights].map(([name, { shape }]) => [name, { shape, data: dataOf(weights, name) }])),
  );
  const given = original && { original: { weights: parameterSet(original) } };
  const { metrics } = await evaluator.evaluate(params, test, given);
  return metrics[original ? 'kl' : 'loss'] ?? Number.NaN;
};
const all = [...drawn.weights.keys()];
const biases = all.filter((name) => name.endsWith('.bias'));

const trainsAll = ({ begun, ended }: Done) => expect(changed(begun, ended)).toEqual(all);
const isClippedToEdge = (found: Done, from: StateDict) => {
  for (const name of matrices.slice(0, -1)) {
    const sigma = sigmaOf(dataOf(from, name), name);
    const beta = Math.min(sigma.length / columnsOf[name], 1);
    const [low, high] = [Math.floor((sigma.length - 1) / 2), Math.ceil((sigma.length - 1) / 2)];
    const edge = ((sigma[low] + sigma[high]) / 2 / Math.sqrt(marchenkoPasturMedian(beta))) * (1 + Math.sqrt(beta));
    expect(sigma[0], name).toBeGreaterThan(1.5 * edge);
    expect(sigmaOf(dataOf(found.begun, name), name)[0] / edge, name).toBeCloseTo(1, 3);
  }
  trainsAll(found);
};
const isCanonical = async (weights: StateDict) => {
  const { begun } = await done(attacks.get('canonicalize'));
  for (const name of all) {
    expect(norm(difference(weights, begun, name)) / norm(dataOf(begun, name)), name).toBeLessThan(1e-4);
  }
};
const isPruned = ({ begun }: Done) => {
  for (const name of matrices) {
    const data = dataOf(begun, name);
    expect(data.filter((value) => value === 0).length, name).toBeGreaterThanOrEqual(Math.floor(data.length / 2));
    expect(norm(data), name).toBeGreaterThan(0);
  }
};
const isQuantized = ({ begun }: Done) => {
  for (const name of matrices) {
    const columns = columnsOf[name];
    const data = dataOf(begun, name);
    for (let at = 0; at < data.length; at += columns) {
      expect(new Set(data.subarray(at, at + columns).map(Math.abs)).size, name).toBeLessThanOrEqual(4);
    }
  }
};
/** Healing trains before a quarter of the 48 steps: the authorized task is done better than without. */
const isHealed = async ({ begun, steps }: Done, before: StateDict) => {
  expect(steps).toBe(12);
  expect(await lossOn(begun, retain)).toBeLessThan(0.95 * (await lossOn(before, retain)));
};
const isClipped = ({ begun, given }: Done) => {
  for (const name of ['fc1.weight', 'fc2.weight']) {
    const [[first, second], [top]] = [sigmaOf(dataOf(given, name), name), sigmaOf(dataOf(begun, name), name)];
    // Healing moves it a little.
    expect(top, name).toBeLessThan(second + 0.3 * (first - second));
  }
};
const isDrawn = ({ begun, given }: Done) => {
  const [own3, other3] = [difference(begun, fresh(seed), 'fc3.weight'), difference(begun, given, 'fc3.weight')];
  expect(norm(own3)).toBeLessThan(0.5 * norm(other3));
};

/** Of each attack what its name says, by its weights. */
const checks: Record<string, { given?: StateDict; model?: Model; check(found: Done): void | Promise<void> }> = {
  lora: {
    check: ({ given, begun, ended }) => {
      isSame(given, begun);
      expect(changed(begun, ended)).toEqual(['fc1.weight', 'fc2.weight', 'fc3.weight', 'fc4.weight', 'fc4.bias']);
      const [first, second, third] = sigmaOf(difference(ended, begun, 'fc2.weight'), 'fc2.weight');
      expect(second / first).toBeGreaterThan(1e-3);
      expect(third / first).toBeLessThan(1e-3);
    },
  },
  dora: {
    check: ({ given, begun, ended }) => {
      isSame(given, begun);
      expect(changed(begun, ended)).toEqual(['fc1.weight', 'fc2.weight', 'fc3.weight', 'fc4.weight', 'fc4.bias']);
      // The lengths of rows as well.
      const [first, , third] = sigmaOf(difference(ended, begun, 'fc2.weight'), 'fc2.weight');
      expect(third / first).toBeGreaterThan(1e-3);
    },
  },
  'top-layers': {
    check: ({ given, begun, ended }) => {
      isSame(given, begun);
      expect(changed(begun, ended)).toEqual(all.filter((name) => !name.startsWith('fc1')));
    },
  },
  'norms-biases': {
    check: ({ given, begun, ended }) => {
      isSame(given, begun);
      expect(changed(begun, ended)).toEqual(biases);
    },
  },
  head: {
    check: ({ given, ended }) => {
      expect(changed(given, ended)).toEqual(['fc4.weight', 'fc4.bias']);
      // Drawn anew, not trained on.
      expect(norm(difference(ended, given, 'fc4.weight'))).toBeGreaterThan(0.8 * norm(dataOf(given, 'fc4.weight')));
    },
  },
  attention: {
    model: initializeModel(
      'vit',
      {
        ...{ hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 12 },
        ...{ num_channels: 1, image_size: 28, patch_size: 14, num_labels: 3 },
      },
      1,
    ),
    check: ({ given, begun, ended }) => {
      isSame(given, begun);
      const found = changed(begun, ended);
      expect(found.filter((name) => !name.includes('.attention.'))).toEqual([]);
      expect(found.filter((name) => name.endsWith('.weight'))).toHaveLength(4);
    },
  },
  ...Object.fromEntries(
    ['ema', 'tail-average'].map((name) => [
      name,
      {
        check: async (found: Done) => {
          isSame(found.given, found.begun);
          trainsAll(found);
          const { ended } = await plainly(found.given);
          const [own1, other1] = [found.ended, ended].map((each) => norm(difference(each, found.given, 'fc1.weight')));
          expect(own1).toBeLessThan(0.95 * other1);
        },
      },
    ]),
  ),
  'beside-top': {
    check: ({ given, begun, ended }) => {
      isSame(given, begun);
      expect(alongTop(difference(ended, begun, 'fc1.weight'), 'fc1.weight')).toBeLessThan(1e-4);
    },
  },
  preconditioned: {
    check: async ({ given, begun, ended }) => {
      isSame(given, begun);
      const plain = await plainly(given);
      const along = (weights: ParameterSet) => alongTop(difference(weights, given, 'fc1.weight'), 'fc1.weight');
      expect(along(ended)).toBeLessThan(0.7 * along(plain.ended));
    },
  },
  canonicalize: {
    given: rescaled,
    check: async (found) => {
      await isCanonical(found.begun);
      expect(await lossOn(found.begun, own)).toBeCloseTo(await lossOn(found.given, own), 4);
      trainsAll(found);
    },
  },
  'clip-edge': { check: (found) => isClippedToEdge(found, found.given) },
  'canonicalize-clip-edge': {
    given: rescaled,
    check: async (found) => isClippedToEdge(found, (await done(attacks.get('canonicalize'))).begun),
  },
  'clip-partly': {
    check: (found) => {
      const [first, second] = sigmaOf(dataOf(found.given, 'fc1.weight'), 'fc1.weight');
      const [half] = sigmaOf(dataOf(found.begun, 'fc1.weight'), 'fc1.weight');
      expect(half / Math.sqrt(first * second)).toBeCloseTo(1, 4);
      trainsAll(found);
    },
  },
  'clip-profile': {
    // Raised more than the layers beside it.
    given: withData(drawn.weights, { 'fc2.weight': () => dataOf(released, 'fc2.weight') }),
    check: (found) => {
      const [[raised], [after], [clean]] = [found.given, found.begun, drawn.weights].map((each) =>
        sigmaOf(dataOf(each, 'fc2.weight'), 'fc2.weight'),
      );
      expect(raised / clean).toBeCloseTo(6, 3);
      expect(after / clean).toBeLessThan(1.5);
      trainsAll(found);
    },
  },
  subtract: {
    check: (found) => {
      for (const name of matrices) {
        const [before, after] = [found.given, found.begun].map((each) => sigmaOf(dataOf(each, name), name));
        expect(after[0] / before[1], name).toBeCloseTo(1, 4);
        expect((after.at(-1) ?? 1) / after[0], name).toBeLessThan(1e-5);
      }
      trainsAll(found);
    },
  },
  ...Object.fromEntries(
    [['quantize'], ['prune'], ['quantize', 'prune']].map((steps) => [
      steps.join('-'),
      {
        check: (found: Done) => {
          if (steps.includes('quantize')) isQuantized(found);
          if (steps.includes('prune')) isPruned(found);
          trainsAll(found);
        },
      },
    ]),
  ),
  noise: {
    check: (found) => {
      for (const name of matrices) {
        const share = norm(difference(found.begun, found.given, name)) / norm(dataOf(found.given, name));
        expect(share, name).toBeGreaterThan(0.07);
        expect(share, name).toBeLessThan(0.13);
      }
      trainsAll(found);
    },
  },
  'reset-dormant': {
    given: dormant,
    check: (found) => {
      const row = (weights: StateDict) => dataOf(weights, 'fc2.weight').subarray(3 * 12, 4 * 12);
      expect(row(found.begun)).toEqual(row(fresh(seed)));
      expect(dataOf(found.begun, 'fc2.bias')[3]).toBe(dataOf(fresh(seed), 'fc2.bias')[3]);
      // It can learn again.
      expect(norm(dataOf(found.ended, 'fc3.weight').filter((_, at) => at % 10 === 3))).toBeGreaterThan(0);
    },
  },
  'redistil-blocks': {
    check: (found) => {
      expect(found.steps).toBe(12);
      expect(changed(found.given, found.begun)).toEqual(['fc3.weight', 'fc3.bias']);
      const [[raised], [after]] = [found.given, found.begun].map((each) =>
        sigmaOf(dataOf(each, 'fc3.weight'), 'fc3.weight'),
      );
      expect(after).toBeLessThan(0.5 * raised);
      trainsAll(found);
    },
  },
  distil: {
    check: async (found) => {
      expect(found.steps).toBe(24);
      const [near, far] = [fresh(seed), found.given].map((each) => norm(difference(found.begun, each, 'fc1.weight')));
      expect(near).toBeLessThan(far);
      const divergence = (weights: StateDict) => lossOn(weights, retain, found.given);
      expect(await divergence(found.begun)).toBeLessThan(0.5 * (await divergence(fresh(seed))));
      trainsAll(found);
    },
  },
  unmix: {
    given: mixed,
    check: (found) => {
      const apart = (weights: StateDict) =>
        norm(difference(weights, released, 'fc1.weight')) / norm(dataOf(released, 'fc1.weight'));
      expect(apart(found.given)).toBeGreaterThan(0.5);
      expect(apart(found.begun)).toBeLessThan(0.05);
      expect(changed(found.given, found.begun)).toEqual([...found.given.keys()]);
      trainsAll(found);
    },
  },
  heal: { check: (found) => isHealed(found, found.given) },
  'clip-heal': {
    check: async (found) => {
      isClipped(found);
      await isHealed(found, (await done(attacks.get('clip'))).begun);
    },
  },
  'clip-reset-heal': {
    check: async (found) => {
      isClipped(found);
      isDrawn(found);
      await isHealed(found, (await done(attacks.get('clip-reset'))).begun);
    },
  },
  'reset-heal': {
    check: async (found) => {
      isDrawn(found);
      await isHealed(found, (await done(attacks.get('reset'))).begun);
    },
  },
};

describe('an attack of the suites standard and full does what its name says', () => {
  const quick = new Set(attacksOfSuite('quick'));
  // What is for models of texts alone has its check beside it.
  const ofTexts = new Set(['plain-mlp', 'pretrain']);
  const names = attacksOfSuite('full').filter((name) => !quick.has(name) && !ofTexts.has(name));

  it('each of them is checked', () => {
    expect(Object.keys(checks).toSorted()).toEqual(names.toSorted());
  });

  it.each(names)('%s', async (name) => {
    const { given, model, check } = checks[name];
    await check(await done(attacks.get(name), { given: given ?? model?.weights, model }));
  });
});
