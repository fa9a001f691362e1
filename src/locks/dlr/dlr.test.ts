import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { differing } from '../../../test/support/locked-digits.js';
import { textExamples } from '../../../test/support/texts.js';
import { createDataset } from '../../data/index.js';
import { ProgramCache } from '../../engine/index.js';
import {
  cloneWeights,
  initializeModel,
  type Model,
  modelState,
  parameterSet,
  type RebuiltModel,
  sizeOf,
  withDeepLayers,
} from '../../models/index.js';
import type { DeepLowRankShape } from '../../nn/index.js';
import { InputError, InterruptedError, parseOptions } from '../../registry/index.js';
import { PartFits } from '../../training/index.js';
import { lockContext } from '../context.js';
import { lockMethods, stagedLock } from '../index.js';
import type { LockContext, LockResult } from '../lock-method.js';
import { TermBatches } from '../term-batches.js';
import { dlr } from './index.js';

const sizes = { vocab_size: 24, hidden_size: 16, num_attention_heads: 2, intermediate_size: 32, num_hidden_layers: 2 };
const families = [
  { name: 'bert', classes: ['BertModel'], more: { initializer_range: 0.3, type_vocab_size: 1 } },
  { name: 'llama', classes: ['LlamaModel'], more: { initializer_range: 0.3, max_position_embeddings: 32 } },
];
const modelOf = ({ name, classes, more }: (typeof families)[number]) =>
  initializeModel(name, { ...sizes, ...more, architectures: classes }, 1);
const tokens = Array.from({ length: 40 }, (_, text) =>
  Array.from({ length: 3 + (text % 6) }, (__, at) => 1 + ((7 * text + 5 * at + text * at) % 20)),
);
const facts = { name: 'texts', labels: new Int32Array(40), classes: [] };
const texts = createDataset(textExamples(tokens), facts);
const own = { steps: 300, batchSize: 20, depth: 3, learningRate: 1e-2, evaluateEvery: 100 };
const free = { utilityFloor: 0, maxKl: null };
const optionsOf = (options: Record<string, unknown>) => parseOptions(dlr.options, options, 'dlr');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weightlock-dlr-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function locked(
  model: Model,
  options: Record<string, unknown>,
  more: Pick<LockContext, 'checkpoint' | 'signal' | 'onStep'> = {},
): Promise<LockResult & { weights: ReturnType<typeof cloneWeights> }> {
  const weights = cloneWeights(model.weights);
  const data = { train: texts, validation: texts };
  const context = lockContext({ model: { ...model, weights }, data, seed: 3 }, { engine: { threads: 1 }, ...more });
  try {
    return { ...(await dlr.run(context, optionsOf(options))), weights };
  } finally {
    await context.release();
  }
}

const shapeOf = ({ model }: RebuiltModel) => (model.config as { feed_forward: DeepLowRankShape }).feed_forward;

describe.each(families)('of $name', (family) => {
  const model = modelOf(family);

  it('can keep biases from decaying, and move some weights less than others', async () => {
    const decaying = { steps: 3, batchSize: 8, depth: 2, evaluateEvery: 3, adamw: { weightDecay: 0.5 }, ...free };
    const ends = async (more: Record<string, unknown>) => {
      const { rebuilt } = await locked(model, { ...decaying, ...more });
      return parameterSet(rebuilt?.weights ?? new Map());
    };
    const [all, matrices] = [await ends({}), await ends({ decay: 'matrices' })];
    expect(differing(all, matrices)).not.toEqual([]);
    expect(differing(all, await ends({ rateFactors: ['*=0.5'] }))).not.toEqual([]);
  });

  it('takes the rank that has as many parameters as what it replaces', () => {
    for (const depth of [2, 3, 5]) {
      const made = withDeepLayers(model, { depth });
      const { replaced, added } = made;
      expect(sizeOf(added)).toBeLessThanOrEqual(sizeOf(replaced));
      expect(sizeOf(withDeepLayers(model, { depth, rank: shapeOf(made).rank + 1 }).added)).toBeGreaterThan(
        sizeOf(replaced),
      );
    }
    // Of so many layers none fits: the narrowest there are.
    expect(shapeOf(withDeepLayers(model, { depth: 200 }))).toEqual({ depth: 200, rank: 1 });
    expect(shapeOf(withDeepLayers(model, { depth: 2, rank: 7 }))).toEqual({ depth: 2, rank: 7 });
    const names = dlr.locks(model.weights, optionsOf({}), model);
    expect(names.length).toBe(2 * (family.name === 'bert' ? 4 : 3));
    for (const name of names) expect(model.weights.has(name)).toBe(true);
  });

  it('fits networks to what the layers give: of nothing at first, then nearly all', async () => {
    const losses: number[] = [];
    const { rebuilt, story, weights, after, before } = await locked(
      model,
      { ...own, ...free },
      { onStep: ({ loss }) => void losses.push(Number(loss)) },
    );
    // Networks that give 0 are wrong by all of it.
    expect(losses[0]).toBeCloseTo(1, 5);
    expect(losses.at(-1)).toBeLessThan(0.1);
    expect(differing(parameterSet(weights), parameterSet(model.weights))).toEqual([]);
    expect(rebuilt?.model.architecture.name).toBe(`${family.name}-dlr`);
    expect(modelState(rebuilt?.model ?? model).map(({ name }) => name)).toEqual([...(rebuilt?.weights.keys() ?? [])]);
    for (const [name, { data }] of rebuilt?.weights ?? []) {
      const before = model.weights.get(name)?.data;
      if (before) expect(data, name).toEqual(before);
    }
    expect(before?.metrics.distance).toBeCloseTo(0, 6);
    // As far as without any feed-forward layer, which a step of nothing leaves.
    const none = await locked(model, { ...own, ...free, steps: 1, learningRate: 1e-12 });
    expect(Number(none.after?.metrics.distance)).toBeGreaterThan(0.02);
    expect(Number(after?.metrics.distance)).toBeLessThan(0.2 * Number(none.after?.metrics.distance));
    const { parameters, heldByToken, errors } = story as {
      parameters: { before: number; after: number };
      heldByToken: { before: number; after: number };
      errors: Record<string, number>;
    };
    expect(parameters.after / parameters.before).toBeGreaterThan(0.9);
    expect(heldByToken).toEqual({
      before: 16 + 64,
      after: 3 * (16 + 2 * shapeOf(withDeepLayers(model, { depth: 3 })).rank),
    });
    expect(Object.values(errors).every((error) => error < 0.1)).toBe(true);
    expect(Object.keys(errors).length).toBe(2);
  });

  it('counts no padding', async () => {
    const deep = withDeepLayers(model, { depth: 2 });
    const weights = initializeModel(deep.model.architecture.name, deep.model.config as never, 3).weights;
    const params = parameterSet(weights);
    for (const [name, values] of params) if (name.endsWith('up.weight')) values.fill(0.01);
    const lossesOf = async (length: number) => {
      const padded = createDataset(textExamples(tokens, { length }), facts);
      const programs = new ProgramCache({ threads: 1 });
      const fits = new PartFits(model, parameterSet(model.weights), deep, programs);
      const batch = new TermBatches(model, padded, { batchSize: 8, seed: 1 }).at(0);
      const { losses, gradients } = await fits.compute(params, batch);
      const slope = (gradients.get(deep.added[0].name) as Float32Array).slice();
      await programs.release();
      return { losses, slope };
    };
    const [short, long] = [await lossesOf(1), await lossesOf(14)];
    short.losses.forEach((loss, at) => void expect(long.losses[at]).toBeCloseTo(loss, 5));
    const largest = Math.max(...short.slope.map(Math.abs));
    expect(largest).toBeGreaterThan(0);
    short.slope.forEach((value, at) => void expect(Math.abs(long.slope[at] - value)).toBeLessThan(1e-4 * largest));
  });

  it('ends with the same bits after it was stopped, and after it was killed', async () => {
    const options = { ...own, ...free, steps: 12, evaluateEvery: 4 };
    const whole = await locked(model, options);
    for (const how of ['stopped', 'killed']) {
      const checkpoint = { path: join(folder, `${family.name} ${how}.safetensors`), every: 3 };
      const stop = new AbortController();
      const onStep: LockContext['onStep'] = ({ step }) => {
        if (step < 8) return;
        if (how === 'killed') throw new Error('killed');
        stop.abort();
      };
      const interrupted = locked(model, options, { checkpoint, signal: stop.signal, onStep });
      if (how === 'killed') await expect(interrupted).rejects.toThrow('killed');
      else await expect(interrupted).rejects.toThrow(InterruptedError);
      const { rebuilt, weights: _, ...resumed } = await locked(model, options, { checkpoint });
      const { rebuilt: expected, weights: __, ...found } = whole;
      expect(resumed).toEqual(found);
      expect(JSON.parse(JSON.stringify(resumed))).toEqual(resumed);
      const made = (of: LockResult['rebuilt']) => parameterSet(of?.weights ?? new Map());
      expect(differing(made(rebuilt), made(expected))).toEqual([]);
    }
  });
});

it('leaves the model as it is where no check is within the budget', async () => {
  const model = modelOf(families[0]);
  const { rebuilt, ...result } = await locked(model, {
    ...own,
    steps: 8,
    evaluateEvery: 4,
    utilityFloor: 1,
    maxKl: 1e-12,
  });
  expect(rebuilt).toBeUndefined();
  expect(result).toMatchObject({ steps: 0, stepsTried: 8, stoppedByBudget: true });
  expect(result.after).toEqual(result.before);
});

it('says which models have such a form, and that no other stage goes on with one', () => {
  const mlp = initializeModel('mlp', { num_labels: 2, hidden_sizes: [4] }, 1);
  expect(() => dlr.locks(mlp.weights, optionsOf({}), mlp)).toThrow(
    new InputError('dlr: expected a model of bert or llama, found mlp'),
  );
  expect(() => stagedLock([lockMethods.get('erase'), lockMethods.get('dlr')])).toThrow(
    'dlr: expected it alone, as it makes another architecture of the model, got erase,dlr',
  );
});
