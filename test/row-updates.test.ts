import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDataset, type LabelledDataset, TextExamples, type TextForm } from '../src/data/index.js';
import { RandomStream } from '../src/linalg/index.js';
import { specDefStep, tripletSource } from '../src/locks/index.js';
import { architectures, initializeModel, type Model, parameterSet, weightMatrices } from '../src/models/index.js';
import { InterruptedError } from '../src/registry/index.js';
import { tasks } from '../src/tasks/index.js';
import {
  createObjective,
  createOptimizer,
  createSchedule,
  type ObjectiveOptions,
  type OptimizerSpec,
  optimizers,
  type RunOptions,
  runSteps,
} from '../src/training/index.js';

const steps = 24;
const engine = { threads: 1 };
const vocabulary = 400;
const words = 'bert.embeddings.word_embeddings.weight';

/** Texts that name some tokens often and others once or never: of 400, tokens 100 to 399 are in no text. */
function texts(form: Partial<TextForm> = {}): LabelledDataset {
  const stream = new RandomStream(7, 'texts');
  const encodings = Array.from({ length: 40 }, (_, text) => {
    const ids = Array.from({ length: 4 + (text % 5) }, () => 2 + Math.floor(98 * stream.uniform() ** 2));
    return { ids, mask: ids.map(() => 1), typeIds: ids.map(() => 0) };
  });
  const labels = Int32Array.from(encodings, (_, text) => text % 2);
  return createDataset(new TextExamples(encodings, { padId: 1, ...form }), {
    name: 'texts',
    labels,
    classes: ['a', 'b'],
  });
}

const keys = { hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32 };
const dataset = texts();

function newModel(): Model {
  const fitted = architectures
    .get('bert')
    .fit(dataset.examples.layout([0]), tasks.get('classification').headFor(dataset));
  return initializeModel('bert', { ...fitted, ...keys, vocab_size: vocabulary, pad_token_id: 1 }, 5);
}

/** Texts of which some tokens are hidden by one that no text names, 399, or replaced by any other. */
const hidden = texts({ vocabulary: { size: vocabulary, maskId: 399, special: new Set([1]) } });

function newMaskedModel(): Model {
  const head = tasks.get('masked-lm').headFor(hidden);
  const fitted = architectures.get('bert').fit(hidden.examples.layout([0]), head);
  const more = { vocab_size: vocabulary, pad_token_id: 1, tie_word_embeddings: false };
  return initializeModel('bert', { ...fitted, ...keys, ...more }, 5);
}

type More = Partial<Pick<ObjectiveOptions, 'accumulate' | 'recompute'>> &
  Partial<Pick<RunOptions, 'schedule' | 'checkpoint' | 'signal' | 'afterStep' | 'learningRate'>>;

const texted = () => ({ model: newModel(), dataset });

/** Trains with whole gradients, or by rows; all weights at the end. */
async function trained(
  isByRows: boolean,
  spec: OptimizerSpec,
  { accumulate, recompute, ...more }: More = {},
  { model, dataset }: { model: Model; dataset: LabelledDataset } = texted(),
) {
  const params = parameterSet(model.weights);
  const byRows = isByRows ? () => true : undefined;
  const objective = await createObjective({
    ...{ model, dataset, batchSize: 6, seed: 3, engine },
    ...{ accumulate, recompute, byRows },
  });
  expect(objective.rows === undefined).toBe(!isByRows);
  try {
    await runSteps({
      params,
      shapes: objective.shapes,
      compute: (current, step) => objective.compute(current, step),
      rows: objective.rows,
      optimizer: createOptimizer(spec, objective.shapes),
      learningRate: spec.name === 'adadelta' ? 1 : 0.01,
      steps,
      ...more,
    });
  } finally {
    await objective.release();
  }
  return params;
}

const bytes = (params: ReadonlyMap<string, Float32Array>) =>
  Object.fromEntries([...params].map(([name, values]) => [name, Buffer.from(values.slice().buffer).toString('hex')]));

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-rows-'));
});
afterAll(() => rm(root, { recursive: true }));

const specs: OptimizerSpec[] = [
  { name: 'adamw' },
  { name: 'adamw', options: { weightDecay: 0 } },
  { name: 'adamw', options: { weightDecay: 0.3, amsgrad: true } },
  { name: 'adamw', options: { weightDecay: 0.3 }, clipNorm: 0.05, decay: 'matrices', rateFactors: ['*word*=0.5'] },
  { name: 'adam' },
  { name: 'adam', options: { weightDecay: 0.1 } },
  { name: 'sgd', options: { weightDecay: 0.1 } },
  { name: 'sgd', options: { momentum: 0.9 } },
  { name: 'sgd', options: { momentum: 0.9, nesterov: true, weightDecay: 0.1 } },
  { name: 'adagrad' },
  { name: 'adagrad', options: { weightDecay: 0.1, initialAccumulatorValue: 0.1 } },
  { name: 'adadelta' },
  { name: 'adadelta', options: { weightDecay: 0.1 } },
];

describe('tables of embeddings by the rows that batches name', () => {
  it('name some rows at once, miss others for many steps, and never name the rest', async () => {
    const objective = await createObjective({
      ...{ model: newModel(), dataset, batchSize: 6, seed: 3, engine, byRows: () => true },
    });
    const last = new Map<number, number>();
    let longest = 0;
    for (let step = 0; step < steps; step++) {
      const named = await objective.rows?.(step);
      expect([...(named?.keys() ?? [])]).toEqual([words]);
      const rows = [...(named?.get(words) ?? [])];
      expect(rows).toEqual([...new Set(rows)].sort((a, b) => a - b));
      for (const row of rows) {
        longest = Math.max(longest, step - (last.get(row) ?? step));
        last.set(row, step);
      }
      const { gradients } = await objective.compute(parameterSet(newModel().weights), step);
      expect(gradients.get(words)?.length).toBe(rows.length * keys.hidden_size);
    }
    await objective.release();
    expect(longest).toBeGreaterThan(8);
    expect(last.size).toBeLessThan(101);
  });

  it.each(specs)('%j: after 24 steps the same bits as with whole gradients', async (spec) => {
    const schedule = createSchedule({ name: 'linear', options: { warmupSteps: 5 } }, 7);
    const whole = await trained(false, spec, { schedule });
    expect(bytes(await trained(true, spec, { schedule }))).toEqual(bytes(whole));
    const first = newModel().weights.get(words)?.data ?? [];
    const after = whole.get(words) ?? [];
    const moves = (row: number) => after[row * keys.hidden_size] !== first[row * keys.hidden_size];
    expect(moves(2)).toBe(true);
    // A row that no text names moves by decay alone.
    expect(moves(399)).toBe(Number(spec.options?.weightDecay ?? (spec.name === 'adamw' ? 0.01 : 0)) > 0);
  });

  it('are named after tokens were hidden: the mask, and what stands in the place of others', async () => {
    const model = newMaskedModel();
    const objective = await createObjective({
      ...{ model, dataset: hidden, batchSize: 6, seed: 3, engine, byRows: () => true },
    });
    const named = new Set<number>();
    for (let step = 0; step < steps; step++) {
      for (const row of (await objective.rows?.(step))?.get(words) ?? []) named.add(row);
    }
    await objective.release();
    expect(named.has(399)).toBe(true);
    // Tokens that no text has, drawn for one hidden token in ten.
    expect([...named].filter((row) => row >= 100 && row < 399).length).toBeGreaterThan(3);
    const spec: OptimizerSpec = { name: 'adamw', options: { weightDecay: 0.3 } };
    const whole = await trained(false, spec, {}, { model, dataset: hidden });
    const byRows = await trained(true, spec, {}, { model: newMaskedModel(), dataset: hidden });
    expect(bytes(byRows)).toEqual(bytes(whole));
  });

  it('in parts, and with blocks computed twice', async () => {
    for (const more of [{ accumulate: 3 }, { accumulate: 6 }, { recompute: true }]) {
      const whole = await trained(false, { name: 'adamw' }, more);
      expect(bytes(await trained(true, { name: 'adamw' }, more))).toEqual(bytes(whole));
    }
  });

  it('has the right weights whenever they are settled, and does not change them by that', async () => {
    const look = async (isByRows: boolean, every: number) => {
      const seen: unknown[] = [];
      const params = await trained(
        isByRows,
        { name: 'adamw' },
        {
          afterStep: async ({ step, settled, params: current }) => {
            if (step % every !== 0) return undefined;
            await settled();
            seen.push(bytes(current));
            return undefined;
          },
        },
      );
      return [...seen, bytes(params)];
    };
    expect(await look(true, 7)).toEqual(await look(false, 7));
    expect((await look(true, 1)).at(-1)).toEqual((await look(true, 100)).at(-1));
  });

  it('interrupted and run again, ends with the same bits', async () => {
    const whole = bytes(await trained(false, { name: 'adamw' }));
    for (const stopAt of [1, 11, 20]) {
      const checkpoint = { path: join(root, `at-${stopAt}.safetensors`), every: 8 };
      const controller = new AbortController();
      const afterStep = ({ step }: { step: number }) => {
        if (step === stopAt) controller.abort();
        return undefined;
      };
      const more = { checkpoint, signal: controller.signal, afterStep };
      await expect(trained(true, { name: 'adamw' }, more)).rejects.toThrow(InterruptedError);
      expect(bytes(await trained(true, { name: 'adamw' }, { checkpoint }))).toEqual(whole);
    }
  });

  it('goes on from a checkpoint of whole gradients, and the other way round', async () => {
    const whole = bytes(await trained(false, { name: 'adamw' }));
    for (const isByRows of [false, true]) {
      const checkpoint = { path: join(root, `${isByRows}.safetensors`), every: 8 };
      const controller = new AbortController();
      const afterStep = ({ step }: { step: number }) => {
        if (step === 13) controller.abort();
        return undefined;
      };
      const more = { checkpoint, signal: controller.signal, afterStep };
      await expect(trained(isByRows, { name: 'adamw' }, more)).rejects.toThrow(InterruptedError);
      expect(bytes(await trained(!isByRows, { name: 'adamw' }, { checkpoint }))).toEqual(whole);
    }
  });

  it('is for tables alone that are used for nothing else: tied ones have whole gradients', async () => {
    const model = initializeModel('llama', { ...keys, vocab_size: vocabulary, tie_word_embeddings: true }, 5);
    const task = tasks.get('causal-lm');
    const options = { model, task, dataset, batchSize: 6, seed: 3, engine, byRows: () => true };
    const tied = await createObjective(options);
    expect(tied.rows).toBeUndefined();
    const { gradients } = await tied.compute(parameterSet(model.weights), 0);
    expect(gradients.get('model.embed_tokens.weight')?.length).toBe(vocabulary * keys.hidden_size);
    const apart = initializeModel('llama', { ...keys, vocab_size: vocabulary, tie_word_embeddings: false }, 5);
    const untied = await createObjective({ ...options, model: apart });
    expect([...((await untied.rows?.(0))?.keys() ?? [])]).toEqual(['model.embed_tokens.weight']);
    await Promise.all([tied.release(), untied.release()]);
  });

  it('is not worth it where a batch may name many of the rows', async () => {
    const options = { model: newModel(), dataset, seed: 3, engine, byRows: () => true };
    // 400 rows, texts padded to 8 tokens: 4 times 96 numbers, and 104.
    for (const [batchSize, isByRows] of [
      [12, true],
      [13, false],
    ] as const) {
      const objective = await createObjective({ ...options, batchSize });
      expect(objective.rows !== undefined, `${batchSize}`).toBe(isByRows);
      await objective.release();
    }
  });

  it('is known of the optimizers that move each value by itself', () => {
    const known = optimizers.entries().filter((entry) => entry.create().idleFactor !== undefined);
    expect(known.map(({ name }) => name)).toEqual(['sgd', 'adam', 'adamw', 'adadelta', 'adagrad']);
    expect(createOptimizer({ name: 'psgd-kron', clipNorm: 1 }).idleFactor).toBeUndefined();
  });

  it('leaves alone what a lock pushes: the same lock with the other tables by rows', async () => {
    const lock = async (isByRows: boolean) => {
      const model = newModel();
      const params = parameterSet(model.weights);
      const matrices = weightMatrices(model.weights, { exclude: ['*word*'] });
      const locked = new Set(matrices.map(({ name }) => name));
      const byRows = isByRows ? (name: string) => !locked.has(name) : undefined;
      const retain = await createObjective({ model, dataset, batchSize: 6, seed: 3, engine, byRows });
      const sources = matrices.map((matrix) => ({ ...matrix, svd: tripletSource(matrix, 2, 1) }));
      await runSteps({
        params,
        shapes: retain.shapes,
        compute: (current, step) => specDefStep(current, step, { retain, matrices: sources, alpha: 0.9 }),
        rows: retain.rows,
        optimizer: createOptimizer({ name: 'adamw' }),
        learningRate: 0.01,
        steps,
      });
      await retain.release();
      return bytes(params);
    };
    expect(await lock(true)).toEqual(await lock(false));
    const all = new Set(weightMatrices(newModel().weights).map(({ name }) => name));
    const options = { model: newModel(), dataset, batchSize: 6, seed: 3, engine };
    const retain = await createObjective({ ...options, byRows: (name) => !all.has(name) });
    expect(retain.rows).toBeUndefined();
    await retain.release();
  });
});
