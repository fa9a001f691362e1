import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { outOfTolerance } from '../../../test/support/compare.js';
import { InputError } from '../../registry/index.js';
import {
  adagrad,
  adamw,
  type OptimizerState,
  optimizers,
  type ParameterSet,
  type ParameterShapes,
  type StepOracle,
  sgd,
} from './index.js';

interface Fixture {
  tensors: Record<string, { shape: number[]; init: string; grads: (string | null)[] }>;
  cases: {
    optimizer: string;
    options: Record<string, unknown>;
    learningRates: number[];
    after: Record<string, Record<string, { param: string; state: Record<string, string> }>>;
  }[];
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/optimizers.json', import.meta.url), 'utf8'),
);

function unpack(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);
}

function initialParams(): Map<string, Float32Array> {
  return new Map(Object.entries(fixture.tensors).map(([name, { init }]) => [name, unpack(init)]));
}

function gradsAt(step: number): Map<string, Float32Array> {
  const grads = new Map<string, Float32Array>();
  for (const [name, tensor] of Object.entries(fixture.tensors)) {
    const grad = tensor.grads[step];
    if (grad !== null) grads.set(name, unpack(grad));
  }
  return grads;
}

describe('optimizers equal torch.optim', () => {
  for (const { optimizer: name, options, learningRates, after } of fixture.cases) {
    it(`${name} ${JSON.stringify(options)}`, async () => {
      const optimizer = optimizers.get(name).create(options);
      const params = initialParams();
      const state = optimizer.init(params);
      let compared = 0;
      for (const [step, learningRate] of learningRates.entries()) {
        optimizer.prepare?.(state, params);
        await optimizer.update(gradsAt(step), state, params, learningRate);
        for (const [tensor, expected] of Object.entries(after[step + 1] ?? {})) {
          const what = `${tensor} after ${step + 1}`;
          const problems = outOfTolerance(`${what}: param`, params.get(tensor) ?? [], unpack(expected.param), 1e-6);
          for (const [slot, values] of Object.entries(expected.state)) {
            // torch keeps a count for Adadelta too, and does not use it.
            if (slot === 'step' && name === 'adadelta') continue;
            const found = state.slots[slot]?.get(tensor) ?? [];
            problems.push(...outOfTolerance(`${what}: ${slot}`, found, unpack(values), slot === 'step' ? 0 : 1e-6));
          }
          expect(problems).toEqual([]);
          compared++;
        }
      }
      expect(compared).toBeGreaterThan(1);
      expect(state.step).toBe(learningRates.length);
      expect(params.get('never')).toEqual(initialParams().get('never'));
    });
  }

  it('covers an overflowing square', () => {
    const adamCase = fixture.cases.find(({ optimizer }) => optimizer === 'adam');
    expect(unpack(adamCase?.after[1].huge.state.exp_avg_sq ?? '')).toContain(Number.POSITIVE_INFINITY);
  });
});

/** The shapes of {@link initialParams}. */
const shapes: ParameterShapes = new Map(Object.entries(fixture.tensors).map(([name, { shape }]) => [name, shape]));

/** Gradients of a step that grow with the parameters, and the products that belong to them. */
function oracleOf(params: ParameterSet, step: number): StepOracle {
  const scaled = (v: ParameterSet, factor: number) =>
    new Map(Array.from(v, ([name, values]) => [name, values.map((value) => factor * value)]));
  return {
    loss: 1,
    evaluations: 1,
    lossAlone: async () =>
      1 + 0.25 * [...params.values()].reduce((sum, p) => sum + p.reduce((all, x) => all + x * x, 0), 0),
    evaluate: async () => {
      const moved = (grad: Float32Array, name: string) => grad.map((g, i) => g + 0.5 * (params.get(name)?.[i] ?? 0));
      return { loss: 1, gradients: new Map(Array.from(gradsAt(step), ([name, grad]) => [name, moved(grad, name)])) };
    },
    hessianProduct: async (v) => scaled(v, 0.5),
    gaussNewtonProduct: async (v) => scaled(v, 0.25),
    // Of every matrix, at both sides the identity and the outer product of 0.1 with itself.
    kroneckerFactors: async () =>
      [...shapes].flatMap(([weight, [rows, ...others]]) => {
        if (others.length === 0) return [];
        const side = (n: number) => Float32Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0) + 0.01);
        const columns = others.reduce((product, length) => product * length, 1);
        return [{ weight, isTransposed: false, inputs: side(columns), outputs: side(rows) }];
      }),
  };
}

describe('every optimizer', () => {
  it('has a name of its own', () => {
    expect(new Set(optimizers.names()).size).toBe(optimizers.entries().length);
  });

  const everyOption: Record<string, Record<string, unknown>> = {
    sgd: { momentum: 0.9, dampening: 0.1, weightDecay: 0.01 },
    adam: { amsgrad: true, weightDecay: 0.01 },
    adamw: { amsgrad: true },
    adadelta: { weightDecay: 0.01 },
    adagrad: { learningRateDecay: 0.1, initialAccumulatorValue: 0.1 },
    'psgd-kron': { criterion: 'whitening', momentum: 0.5, maxNorm: 1, updateProbability: 0.5, maxSize: 4 },
    'psgd-xmat': { criterion: 'whitening', momentum: 0.5, maxNorm: 1, updateProbability: 0.5 },
    lbfgs: { maxIterations: 3, historySize: 4, lineSearch: 'strong-wolfe' },
    'natural-gradient': { damping: 1, maxIterations: 3, tolerance: 0.1 },
    rmsprop: { momentum: 0.5, centered: true, weightDecay: 0.01 },
    lion: { weightDecay: 0.01 },
    muon: { nesterov: false, adjustLearningRate: 'match-rms-adamw', othersRate: 0.5 },
    'schedule-free-adamw': { betas: [0.5, 0.9], weightDecay: 0.01, r: 1 },
    soap: { maxPreconditionDim: 4, precondition1d: true, normalizeGradient: true, preconditionFrequency: 2 },
    shampoo: { maxPreconditionDim: 4, preconditioningComputeSteps: 3, weightDecay: 0.01 },
    sophia: { estimator: 'gauss-newton', hessianDistribution: 'rademacher', numSamples: 2, updatePeriod: 3 },
    mezo: { eps: 1e-2, weightDecay: 0.01, seed: 3 },
    kfac: { factorPeriod: 2, inversePeriod: 2, weightDecay: 0.01, klClip: 0, labels: 'given' },
  };

  describe.each(optimizers.entries())('$name', (entry) => {
    const variants = [{}, everyOption[entry.name]];

    it('has a strict schema with defaults and a description for each key', () => {
      const defaults = entry.options.parse({});
      expect(Object.keys(defaults)).toEqual(Object.keys(entry.options.shape));
      expect(entry.options.parse(defaults)).toEqual(defaults);
      expect(entry.options.safeParse({ nonsense: 1 }).success).toBe(false);
      expect(() => entry.create({ nonsense: 1 })).toThrow(InputError);
      const [number] = Object.keys(defaults).filter((key) => typeof defaults[key] === 'number');
      expect(() => entry.create({ [number]: Number.NaN })).toThrow(`${entry.name}.${number}`);
      expect(entry.description).not.toBe('');
      for (const [key, option] of Object.entries(entry.options.shape)) {
        expect((option as { description?: string }).description, key).toMatch(/^\S.*\S$/);
      }
      expect(entry.create().name).toBe(entry.name);
    });

    it.each(variants)('resumes from a copy of its state bit for bit: %j', async (options) => {
      const run = async (clonedAt?: number) => {
        let params = initialParams();
        let optimizer = entry.create(options);
        let state = optimizer.init(params, shapes);
        for (let step = 0; step < 10; step++) {
          if (step === clonedAt) {
            params = structuredClone(params);
            state = structuredClone(state);
            optimizer = entry.create(options);
          }
          optimizer.prepare?.(state, params);
          await optimizer.update(gradsAt(step), state, params, 0.1 / (step + 1), oracleOf(params, step));
        }
        return { params, state };
      };
      const straight = bits(await run());
      for (const clonedAt of [undefined, 4, 1]) expect(bits(await run(clonedAt))).toEqual(straight);
    });

    it.each(variants)('keeps its arrays, and gives each parameter a slot: %j', async (options) => {
      const params = initialParams();
      const optimizer = entry.create(options);
      const state = optimizer.init(params, shapes);
      const arrays = () => [...params.values(), ...Object.values(state.slots).flatMap((slot) => [...slot.values()])];
      const before = arrays();
      for (let step = 0; step < 3; step++) {
        optimizer.prepare?.(state, params);
        await optimizer.update(gradsAt(step), state, params, 0.1, oracleOf(params, step));
      }
      const afterwards = arrays();
      expect(afterwards.length).toBe(before.length);
      expect(afterwards.every((array, i) => array === before[i])).toBe(true);
      for (const [slot, values] of Object.entries(state.slots)) {
        expect([...values.keys()], slot).toEqual([...params.keys()]);
      }
    });

    it.each(variants)('does not write to gradients: %j', async (options) => {
      const params = initialParams();
      const optimizer = entry.create(options);
      const grads = gradsAt(1);
      const state = optimizer.init(params, shapes);
      optimizer.prepare?.(state, params);
      await optimizer.update(grads, state, params, 0.1, oracleOf(params, 1));
      expect(grads).toEqual(gradsAt(1));
    });

    it('makes a loss smaller', async () => {
      // The square of the length of p: an optimizer that goes uphill, or nowhere, fails.
      const params = new Map([['p', Float32Array.of(1, -2, 3)]]);
      const optimizer = entry.create();
      const state = optimizer.init(params, new Map([['p', [3]]]));
      const loss = () => (params.get('p') ?? new Float32Array()).reduce((sum, p) => sum + p * p, 0);
      const gradients = () => new Map([['p', (params.get('p') ?? new Float32Array()).map((p) => 2 * p)]]);
      const product = async (v: ParameterSet) => new Map(Array.from(v, ([name, x]) => [name, x.map((xi) => 2 * xi)]));
      const start = loss();
      for (let step = 0; step < 50; step++) {
        optimizer.prepare?.(state, params);
        await optimizer.update(gradients(), state, params, 0.1, {
          loss: loss(),
          evaluations: 1,
          lossAlone: async () => loss(),
          evaluate: async () => ({ loss: loss(), gradients: gradients() }),
          hessianProduct: product,
          gaussNewtonProduct: product,
          kroneckerFactors: async () => [],
        });
      }
      expect(loss()).toBeLessThan(start);
    });

    it('refuses what does not belong together', async () => {
      const params = new Map([['p', new Float32Array(3)]]);
      const optimizer = entry.create(everyOption[entry.name]);
      const init = (length: number) =>
        optimizer.init(new Map([['p', new Float32Array(length)]]), new Map([['p', [length]]]));
      const state = init(3);
      const grads = new Map([['p', new Float32Array(3)]]);
      const update = async (g: Map<string, Float32Array>, s: OptimizerState, rate: number) => {
        await optimizer.update(g, s, params, rate, oracleOf(params, 0));
      };
      await expect(update(new Map([['q', new Float32Array(3)]]), state, 0.1)).rejects.toThrow(InputError);
      await expect(update(new Map([['p', new Float32Array(4)]]), state, 0.1)).rejects.toThrow(
        'gradient p: expected 3 values, found 4',
      );
      const hasSlots = Object.keys(state.slots).length > 0;
      if (hasSlots) {
        await expect(update(grads, { step: 0, slots: {} }, 0.1)).rejects.toThrow(
          /optimizer state \w+ of p: expected \d+ values, found none/,
        );
        await expect(update(grads, init(2), 0.1)).rejects.toThrow(/expected \d+ values, found \d/);
      }
      for (const rate of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
        await expect(update(grads, state, rate)).rejects.toThrow('learningRate');
      }
    });

    it('refuses to work without an oracle that it needs', async () => {
      const optimizer = entry.create();
      const params = new Map([['p', Float32Array.of(1)]]);
      const state = optimizer.init(params, new Map([['p', [1]]]));
      const update = async () => {
        optimizer.prepare?.(state, params);
        return optimizer.update(params, state, params, 0.1);
      };
      if (!optimizer.needs) {
        await expect(update()).resolves.toBeUndefined();
        return;
      }
      await expect(update()).rejects.toThrow(`${entry.name}: expected a loss that can be asked for more`);
      await expect(update()).rejects.toThrow(InputError);
    });
  });
});

describe('options', () => {
  it('refuses nesterov without momentum or with dampening, as torch does', () => {
    expect(() => sgd({ nesterov: true })).toThrow(/^sgd\.nesterov: expected momentum above 0/);
    expect(() => sgd({ nesterov: true, momentum: 0.9, dampening: 0.1 })).toThrow(InputError);
  });

  it('refuses numbers out of range', () => {
    expect(() => adamw({ betas: [0.9, 1] })).toThrow(/^adamw\.betas\.1/);
    expect(() => adamw({ eps: Number.NaN })).toThrow(/^adamw\.eps/);
    expect(() => adagrad({ initialAccumulatorValue: -1 })).toThrow(/^adagrad\.initialAccumulatorValue/);
  });
});

/** The exact bits of all arrays; -0 and NaN payloads count. */
function bits({ params, state }: { params: Map<string, Float32Array>; state: OptimizerState }): unknown {
  const ofMap = (map: ReadonlyMap<string, Float32Array>) =>
    Array.from(map, ([name, values]) => [name, Buffer.from(values.buffer).toString('hex')]);
  return [
    ofMap(params),
    state.step,
    state.scalars,
    Object.entries(state.slots).map(([slot, map]) => [slot, ofMap(map)]),
  ];
}
