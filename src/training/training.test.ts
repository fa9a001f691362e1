import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outOfTolerance } from '../../test/support/compare.js';
import { createDataset, floatDataset, ImageExamples, type LabelledDataset, withInputs } from '../data/index.js';
import { RandomStream } from '../linalg/index.js';
import { initializeModel, type Model, parameterSet } from '../models/index.js';
import { InputError, InterruptedError } from '../registry/index.js';
import {
  adamw,
  createObjective,
  createOptimizer,
  Evaluator,
  lbfgs,
  mezo,
  naturalGradient,
  type Objective,
  type ObjectiveOptions,
  type Optimizer,
  type OptimizerSpec,
  optimizers,
  psgdKron,
  psgdXmat,
  runSteps,
  schedules,
  sophia,
  WeightsKeeper,
} from './index.js';

/** Two clouds of points, told apart by a small network. */
function clouds(size: number, seed: number): LabelledDataset {
  const stream = new RandomStream(seed, 'clouds');
  const labels = Int32Array.from({ length: size }, (_, i) => i % 2);
  const inputs = new Float32Array(2 * size);
  for (let i = 0; i < size; i++) {
    inputs[2 * i] = (labels[i] ? 1 : -1) + 0.5 * stream.normal();
    inputs[2 * i + 1] = stream.normal();
  }
  return floatDataset({ name: 'clouds', shape: [2], inputs, labels, classes: ['left', 'right'] });
}

const dataset = clouds(60, 1);
const fresh = (): Model => initializeModel('mlp', { input_shape: [2], num_labels: 2, hidden_sizes: [5] }, 3);
const bytes = (model: Model) =>
  [...model.weights.values()].map(({ data }) => Buffer.from(data.buffer.slice(0)).toString('hex'));

const source = (): ObjectiveOptions => ({ model: fresh(), dataset, batchSize: 16, seed: 2, engine: { threads: 1 } });

let root: string;
let objective: Objective;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-training-'));
  objective = await createObjective(source());
});
afterAll(async () => {
  await objective.release();
  await rm(root, { recursive: true });
});

function train(model: Model, steps: number, more: Partial<Parameters<typeof runSteps>[0]> = {}) {
  return runSteps({
    params: parameterSet(model.weights),
    compute: (...asked) => objective.compute(...asked),
    optimizer: adamw(),
    learningRate: 0.02,
    steps,
    ...more,
  });
}

describe('runSteps', () => {
  it('learns what it is given', async () => {
    const model = fresh();
    const evaluator = new Evaluator(model, { threads: 1 }, { batchSize: 16 });
    const before = await evaluator.evaluate(parameterSet(model.weights), clouds(100, 9));
    await train(model, 80);
    const after = await evaluator.evaluate(parameterSet(model.weights), clouds(100, 9));
    expect(after.n).toBe(100);
    expect(after.metrics.loss).toBeLessThan((before.metrics.loss ?? 0) / 2);
    expect(after.metrics.accuracy).toBeGreaterThan(0.93);
    await evaluator.release();
  });

  it('interrupted after any step and run again, ends with the same bits and asks for the same steps', async () => {
    const whole = fresh();
    const reported: number[] = [];
    await train(whole, 9, { afterStep: ({ step }) => void reported.push(step) });
    expect(reported).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (let stopAt = 1; stopAt < 9; stopAt++) {
      const checkpoint = { path: join(root, `at-${stopAt}.safetensors`), every: 3 };
      const controller = new AbortController();
      const afterStep = ({ step }: { step: number }) => {
        if (step === stopAt) controller.abort();
        return undefined;
      };
      const first = train(fresh(), 9, { checkpoint, signal: controller.signal, afterStep });
      await expect(first).rejects.toThrow(new InterruptedError(`interrupted after step ${stopAt} of 9`));
      const resumed = fresh();
      const starts: number[] = [];
      const result = await train(resumed, 9, { checkpoint, onStart: async (step) => void starts.push(step) });
      expect([starts, result.resumedFrom, result.steps]).toEqual([[stopAt], stopAt, 9]);
      expect(bytes(resumed)).toEqual(bytes(whole));
    }
  });

  it('tracks running statistics and counts of steps, with the same bits after an interruption', async () => {
    const inputs = new Float32Array(60 * 64);
    new RandomStream(1, 'images').fillNormal(inputs, 1, 2);
    const images = floatDataset({ ...dataset, shape: [1, 8, 8], inputs });
    const small = () => initializeModel('resnet20', { num_channels: 1, image_size: 8, num_labels: 2 }, 3);
    const source = { model: small(), dataset: images, batchSize: 16, seed: 2, engine: { threads: 1 } };
    const own = await createObjective(source);
    const steps = (model: Model, count: number, more: Partial<Parameters<typeof runSteps>[0]> = {}) =>
      train(model, count, { compute: (params, step) => own.compute(params, step), ...more });
    const whole = small();
    await steps(whole, 4);
    const checkpoint = { path: join(root, 'buffers.safetensors'), every: 2 };
    const controller = new AbortController();
    const afterStep = ({ step }: { step: number }) => {
      if (step === 3) controller.abort();
      return undefined;
    };
    const first = small();
    await expect(steps(first, 4, { checkpoint, signal: controller.signal, afterStep })).rejects.toThrow(
      InterruptedError,
    );
    const resumed = small();
    await steps(resumed, 4, { checkpoint });
    expect(bytes(resumed)).toEqual(bytes(whole));
    expect([...(resumed.weights.get('bn1.num_batches_tracked')?.data ?? [])]).toEqual([4]);
    expect(resumed.weights.get('bn1.running_var')).not.toEqual(small().weights.get('bn1.running_var'));
    const after = resumed.weights.get('bn1.running_mean')?.data.slice();
    const evaluator = new Evaluator(resumed, { threads: 1 });
    await evaluator.evaluate(parameterSet(resumed.weights), images);
    expect(resumed.weights.get('bn1.running_mean')?.data).toEqual(after);
    await Promise.all([evaluator.release(), own.release()]);
  });

  const everyOptimizer: OptimizerSpec[] = [
    ...optimizers.entries().flatMap(({ name }) => [{ name }, { name, clipNorm: 0.1 }]),
    { name: 'adamw', clipNorm: 0.1, decay: 'matrices', rateFactors: ['fc1*=0.5'] },
    { name: 'sgd', options: { momentum: 0.9, weightDecay: 0.1 }, decay: 'matrices' },
  ];
  it.each(everyOptimizer)('interrupted with %j and run again, ends with the same bits', async (spec) => {
    const { shapes } = objective;
    const optimizer = createOptimizer(spec, shapes);
    const whole = fresh();
    await train(whole, 5, { optimizer, shapes });
    const checkpoint = { path: join(root, `${everyOptimizer.indexOf(spec)}.safetensors`), every: 100 };
    const controller = new AbortController();
    const afterStep = ({ step }: { step: number }) => {
      if (step === 3) controller.abort();
      return undefined;
    };
    const first = train(fresh(), 5, { optimizer, shapes, checkpoint, signal: controller.signal, afterStep });
    await expect(first).rejects.toThrow(InterruptedError);
    const resumed = fresh();
    await train(resumed, 5, { optimizer: createOptimizer(spec, shapes), shapes, checkpoint });
    expect(bytes(resumed)).toEqual(bytes(whole));
    expect(bytes(whole)).not.toEqual(bytes(fresh()));
  });

  it.each(optimizers.names())('%s moves by a batch in parts as by the whole, on any schedule', async (name) => {
    const inParts = await createObjective({ ...source(), accumulate: 3 });
    const { shapes } = objective;
    // Rounding decides what bases are where a gradient has too low a rank, and what Adam makes of a gradient that is 0 in one.
    const spec = { name, options: name === 'soap' ? { maxPreconditionDim: 2, eps: 1e-3 } : {}, clipNorm: 0.5 };
    for (const schedule of schedules.entries()) {
      const options = { shapes, schedule: schedule.create({ warmupSteps: 2, warmupStart: 0.5 }) };
      const [whole, parts, constant] = [fresh(), fresh(), fresh()];
      await train(whole, 3, { ...options, optimizer: createOptimizer(spec) });
      await train(parts, 3, {
        ...options,
        optimizer: createOptimizer(spec),
        compute: (...asked) => inParts.compute(...asked),
      });
      await train(constant, 3, { shapes, optimizer: createOptimizer(spec) });
      for (const [weight, { data }] of parts.weights) {
        expect(outOfTolerance(weight, data, whole.weights.get(weight)?.data ?? [], 1e-3), schedule.name).toEqual([]);
      }
      expect(bytes(whole)).not.toEqual(bytes(constant));
    }
    await inParts.release();
  });

  it('takes the gradient where the optimizer wants it, and shows the weights that are meant to be used', async () => {
    const model = fresh();
    const params = parameterSet(model.weights);
    const now = () => [...params.values()].flatMap((values) => [...values]);
    const [asked, shown] = [[], [now()]] as number[][][];
    let z: number[] = [];
    const inner = optimizers.get('schedule-free-adamw').create({ betas: [0.75, 0.9] });
    const optimizer: Optimizer = {
      ...inner,
      async update(grads, state, ...rest) {
        await inner.update(grads, state, ...rest);
        z = [...state.slots.z.values()].flatMap((values) => [...values]);
      },
    };
    let between: number[] = [];
    await train(model, 4, {
      params,
      optimizer,
      compute: (current, step) => {
        asked.push(now());
        between = shown[step].map((x, i) => (step === 0 ? x : 0.75 * x + 0.25 * z[i]));
        expect(outOfTolerance('y', now(), between, 1e-6)).toEqual([]);
        return objective.compute(current, step);
      },
      afterStep: () => void shown.push(now()),
    });
    expect(asked[1]).toEqual(shown[1]);
    expect(asked[2]).not.toEqual(shown[2]);
    expect(now()).toEqual(shown[4]);
  });

  it('refuses a checkpoint of another optimizer, or of the same with slots of other lengths', async () => {
    const checkpoint = { path: join(root, 'other.safetensors'), every: 1 };
    const { shapes } = objective;
    await train(fresh(), 1, { checkpoint, optimizer: psgdKron({ maxSize: 1 }), shapes });
    const again = (optimizer: Optimizer) => train(fresh(), 2, { checkpoint, optimizer, shapes });
    await expect(again(adamw())).rejects.toThrow(/expected the optimizer slots exp_avg, .* found q, shape/);
    await expect(again(psgdKron())).rejects.toThrow(/optimizer\/q\/fc1.weight: expected \d+ values, found 7/);
    await expect(again(psgdKron())).rejects.toThrow(InputError);
  });

  it('reports what a step costs in evaluations of the gradient', async () => {
    const costOf = async (optimizer: Optimizer) => {
      const reported: number[] = [];
      await train(fresh(), 2, {
        optimizer,
        shapes: objective.shapes,
        afterStep: ({ evaluations }) => void reported.push(evaluations),
      });
      return reported;
    };
    expect(await costOf(adamw())).toEqual([1, 1]);
    expect(await costOf(psgdXmat())).toEqual([3, 3]);
    expect(await costOf(psgdXmat({ criterion: 'whitening' }))).toEqual([1, 1]);
    expect(await costOf(lbfgs({ maxIterations: 4 }))).toEqual([4, 4]);
    expect(await costOf(naturalGradient({ maxIterations: 3, tolerance: 0 }))).toEqual([7, 7]);
    expect(await costOf(sophia({ updatePeriod: 2 }))).toEqual([3, 1]);
    // Three forward passes.
    expect(await costOf(mezo())).toEqual([1, 1]);
  });

  it('a run that was stopped stays stopped when it is run again', async () => {
    const checkpoint = { path: join(root, 'stopped.safetensors'), every: 100 };
    const stop = ({ step }: { step: number }) => (step === 4 ? ('stop' as const) : undefined);
    const model = fresh();
    expect(await train(model, 9, { checkpoint, afterStep: stop })).toEqual({
      steps: 4,
      reason: 'stopped',
      resumedFrom: 0,
    });
    const again = fresh();
    expect(await train(again, 9, { checkpoint, afterStep: stop })).toEqual({
      steps: 4,
      reason: 'stopped',
      resumedFrom: 4,
    });
    expect(bytes(again)).toEqual(bytes(model));
  });

  it('writes what must be durable before each checkpoint', async () => {
    const path = join(root, 'order.safetensors');
    const events: string[] = [];
    const present = async () => ((await stat(path).catch(() => undefined)) ? 'file' : 'none');
    await train(fresh(), 2, {
      checkpoint: { path, every: 1 },
      beforeCheckpoint: () => void events.push('flush'),
      afterStep: async () => void events.push(await present()),
    });
    expect(events).toEqual(['none', 'flush', 'file', 'flush']);
  });
});

describe('createObjective', () => {
  describe('with augmented images', () => {
    const pixels = Uint8Array.from({ length: 20 * 16 }, (_, i) => (i * 37) & 0xff);
    const view = { channels: 1, mean: [0.5], std: [0.5], augmentation: { crop: 2, flip: true } } as const;
    const images = createDataset(new ImageExamples({ pixels, channels: 1, height: 4, width: 4 }, view), {
      name: 'images',
      labels: Int32Array.from({ length: 20 }, (_, i) => i % 2),
      classes: ['even', 'odd'],
    });
    const model = initializeModel('mlp', { input_shape: [1, 4, 4], num_labels: 2, hidden_sizes: [5] }, 3);
    const params = parameterSet(model.weights);
    const options = { model, dataset: images, batchSize: 20, seed: 2, engine: { threads: 1 } };

    it('a step depends on seed and step alone, so that a resumed run sees the same images', async () => {
      const walked = await createObjective(options);
      const losses: number[] = [];
      for (let step = 0; step < 4; step++) losses.push((await walked.compute(params, step)).loss);
      // Every step shows all twenty examples: without augmentation the losses would be equal.
      expect(Math.max(...losses) - Math.min(...losses)).toBeGreaterThan(1e-3);
      const resumed = await createObjective(options);
      expect((await resumed.compute(params, 3)).loss).toBe(losses[3]);
      const other = await createObjective({ ...options, seed: 3 });
      expect((await other.compute(params, 3)).loss).not.toBe(losses[3]);
      for (const each of [walked, resumed, other]) await each.release();
    });

    it('evaluates the plain ones, and refuses them for the KL part', async () => {
      const evaluator = new Evaluator(model, { threads: 1 });
      const outputs = await evaluator.outputs(params, images);
      expect(await evaluator.outputs(params, images)).toEqual(outputs);
      await evaluator.release();
      await expect(createObjective({ ...options, loss: { divergence: 1 }, reference: { outputs } })).rejects.toThrow(
        'images: expected examples without crop and flip for the KL part',
      );
    });

    it('compares them with what the original says of the same ones', async () => {
      const evaluator = new Evaluator(model, { threads: 1 });
      const reference = await evaluator.original(params, images);
      const kl = await createObjective({ ...options, loss: { task: 0, divergence: 1 }, reference });
      const moved = new Map([...params].map(([name, values]) => [name, values.map((value) => 1.1 * value)]));
      const losses: number[] = [];
      for (let step = 0; step < 3; step++) {
        expect((await kl.compute(params, step)).loss).toBeCloseTo(0, 6);
        losses.push((await kl.compute(moved, step)).loss);
      }
      expect(Math.min(...losses)).toBeGreaterThan(1e-4);
      // Other images each time.
      expect(Math.max(...losses) - Math.min(...losses)).toBeGreaterThan(1e-5);
      for (const each of [kl, evaluator]) await each.release();
    });
  });

  it('gives the KL part no gradient at the reference itself, and a positive loss away from it', async () => {
    const model = fresh();
    const params = parameterSet(model.weights);
    const evaluator = new Evaluator(model, { threads: 1 });
    const reference = { outputs: await evaluator.outputs(params, dataset) };
    const kl = await createObjective({
      model,
      dataset,
      batchSize: 60,
      seed: 2,
      loss: { task: 0, divergence: 1 },
      reference,
      engine: { threads: 1 },
    });
    const here = await kl.compute(params, 0);
    expect(Math.abs(here.loss)).toBeLessThan(1e-6);
    expect([...here.gradients.keys()]).toEqual([...params.keys()]);
    for (const gradient of here.gradients.values())
      for (const value of gradient) expect(Math.abs(value)).toBeLessThan(1e-6);
    params.get('fc2.bias')?.set([1, -1]);
    expect((await kl.compute(params, 0)).loss).toBeGreaterThan(0.1);
    await Promise.all([kl.release(), evaluator.release()]);
  });

  it('names what does not fit', async () => {
    const model = fresh();
    const make = (more: object) => createObjective({ model, dataset, batchSize: 4, seed: 0, ...more });
    await expect(make({ loss: { divergence: 1 } })).rejects.toThrow(
      'expected reference outputs of 60 examples, got none',
    );
    await expect(make({ loss: { task: 0 } })).rejects.toThrow(InputError);
    const flat = withInputs(dataset, new Float32Array(120), [1, 2]);
    await expect(make({ dataset: flat })).rejects.toThrow('expected examples of shape [2] for the model, found [1,2]');
    await expect(make({ dataset: { ...dataset, classes: ['a', 'b', 'c'] } })).rejects.toThrow(
      'expected at most 2 classes',
    );
    await expect(make({ dataset: { ...dataset, size: 0 } })).rejects.toThrow('expected at least one example');
  });
});

describe('WeightsKeeper', () => {
  it('goes back to what was kept, also through a checkpoint', () => {
    const params = new Map([['w', Float32Array.of(1, 2)]]);
    const keeper = new WeightsKeeper(params, { n: 1, metrics: { accuracy: 0.1 } });
    params.get('w')?.set([3, 4]);
    keeper.keep(7, { n: 1, metrics: { accuracy: 0.5 } });
    const { extra, meta } = keeper.save();
    const other = new WeightsKeeper(params, { n: 1, metrics: { accuracy: 0 } });
    params.get('w')?.fill(0);
    other.restore(structuredClone(extra), structuredClone(meta));
    other.goBack();
    expect([[...(params.get('w') ?? [])], other.step, other.evaluation.metrics.accuracy]).toEqual([[3, 4], 7, 0.5]);
  });
});
