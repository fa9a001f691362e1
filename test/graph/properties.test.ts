import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compile } from '../../src/engine/index.js';
import * as op from '../../src/graph/index.js';
import { Graph, gradients, type Shape, sizeOf, type Tensor, type TypedArray } from '../../src/graph/index.js';
import { RandomStream } from '../../src/linalg/index.js';
import { outOfTolerance } from '../support/compare.js';
import { interpret, type Value } from '../support/interpreter.js';

/** Draws of each property; seeds are fixed, so a failure repeats. */
const runs = { numRuns: 40, seed: 20261124 };
/**
 * Step of the differences of fourth order. Of numbers near 1, truncation is h⁴ = 1e-16 and rounding 1e-16 / h = 1e-12; a
 * larger step would meet the kinks of max and relu more often.
 */
const h = 1e-4;
/** Relative to the derivative's terms, see {@link directional}; measured: 3.5e-7 (GELU, whose constants are float32). */
const differenceTolerance = 5e-7;
/**
 * Of ONNX Runtime in float32 against the interpreter in float64, relative to each element and the root mean square of its
 * tensor; measured: 1.5e-5.
 */
const engineTolerance = 3e-5;
/** Least scale of a tensor that the engine is compared in: inputs are near 1, and sums of them cancel. */
const engineFloor = 2e-2;

/** A drawn case: input shapes by name, how to build the output, which range inputs are from. */
interface Drawn {
  inputs: Record<string, Shape>;
  build: (inputs: Record<string, Tensor>, graph: Graph) => Tensor;
  /** Inputs that must be positive. */
  positive?: boolean;
  /** By how much more than {@link engineTolerance} float32 may be off: products of many derivatives cancel. */
  conditioning?: number;
}

const length = fc.integer({ min: 1, max: 4 });
const shape = fc.array(length, { minLength: 0, maxLength: 3 });

/** Two shapes that broadcast: axes at the front left out or lengths replaced by 1 at random. */
const broadcastPair = fc
  .record({
    full: fc.array(length, { minLength: 1, maxLength: 3 }),
    masks: fc.tuple(fc.nat(7), fc.nat(7)),
    drop: fc.nat(2),
  })
  .map(({ full, masks, drop }) => {
    const thin = (mask: number) => full.map((n, axis) => (mask & (1 << axis) ? 1 : n));
    return { a: thin(masks[0]), b: thin(masks[1]).slice(Math.min(drop, full.length)) };
  });

const unary = (build: (x: Tensor) => Tensor, positive = false) =>
  shape.map((x): Drawn => ({ inputs: { x }, build: ({ x: t }) => build(t), positive }));
const binary = (build: (a: Tensor, b: Tensor) => Tensor, positive = false) =>
  broadcastPair.map(({ a, b }): Drawn => ({ inputs: { a, b }, build: (t) => build(t.a, t.b), positive }));
const overAxes = (build: (x: Tensor, axes: number[], keepDims: boolean) => Tensor) =>
  fc
    .record({ x: fc.array(length, { minLength: 1, maxLength: 3 }), mask: fc.nat(7), keepDims: fc.boolean() })
    .map(({ x, mask, keepDims }): Drawn => {
      const axes = x.map((_, axis) => axis).filter((axis) => mask & (1 << axis));
      return { inputs: { x }, build: ({ x: t }) => build(t, axes, keepDims) };
    });

const windows = fc.record({
  kernel: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
  stride: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
  padding: fc.tuple(fc.nat(1), fc.nat(1)),
  dilation: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })),
  groups: fc.integer({ min: 1, max: 2 }),
  channels: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })),
  space: fc.tuple(fc.integer({ min: 5, max: 7 }), fc.integer({ min: 5, max: 7 })),
  batch: fc.integer({ min: 1, max: 2 }),
  ceilMode: fc.boolean(),
  flag: fc.boolean(),
});

const properties: Record<string, fc.Arbitrary<Drawn>> = {
  add: binary(op.add),
  sub: binary(op.sub),
  mul: binary(op.mul),
  div: binary((a, b) => op.div(a, op.add(op.mul(b, b), 0.5))),
  pow: binary(op.pow, true),
  max: binary(op.max),
  min: binary(op.min),
  where: binary((a, b) => op.where(op.less(a, b), op.mul(a, a), op.mul(a, b))),
  exp: unary(op.exp),
  log: unary(op.log, true),
  sqrt: unary(op.sqrt, true),
  reciprocal: unary(op.reciprocal, true),
  sin: unary(op.sin),
  cos: unary(op.cos),
  abs: unary((x) => op.mul(op.abs(x), x)),
  relu: unary((x) => op.mul(op.relu(x), x)),
  sigmoid: unary(op.sigmoid),
  tanh: unary(op.tanh),
  erf: unary(op.erf),
  gelu: unary(op.gelu),
  'gelu by tanh': unary((x) => op.gelu(x, { approximate: 'tanh' })),
  silu: unary(op.silu),
  softmax: overAxes((x, [axis = 0]) => op.softmax(x, axis)),
  logSoftmax: overAxes((x, [axis = 0]) => op.logSoftmax(x, axis)),
  reduceSum: overAxes((x, axes, keepDims) => op.reduceSum(op.mul(x, x), { axes, keepDims })),
  reduceMean: overAxes((x, axes, keepDims) => op.reduceMean(op.mul(x, x), { axes, keepDims })),
  reduceMax: overAxes((x, axes, keepDims) => op.reduceMax(op.mul(x, x), { axes, keepDims })),
  reduceMin: overAxes((x, axes, keepDims) => op.reduceMin(op.exp(x), { axes, keepDims })),
  variance: overAxes((x, axes, keepDims) => op.variance(x, { axes, keepDims })),
  matMul: fc
    .record({ m: length, k: length, n: length, batch: broadcastPair, plain: fc.boolean() })
    .map(({ m, k, n, batch, plain }) => ({
      inputs: { a: [...batch.a, m, k], b: plain ? [k, n] : [...batch.b, k, n] },
      build: ({ a, b }) => op.matMul(a, b),
    })),
  gemm: fc
    .record({ m: length, k: length, n: length, transA: fc.boolean(), transB: fc.boolean(), row: fc.boolean() })
    .map(({ m, k, n, transA, transB, row }) => ({
      inputs: { a: transA ? [k, m] : [m, k], b: transB ? [n, k] : [k, n], c: row ? [n] : [m, 1] },
      build: ({ a, b, c }) => op.gemm(a, b, c, { alpha: 0.7, beta: 1.3, transA, transB }),
    })),
  conv: windows.map(({ kernel, stride, padding, dilation, groups, channels: [i, o], space, batch }) => ({
    inputs: { x: [batch, i * groups, ...space], w: [o * groups, i, ...kernel], b: [o * groups] },
    build: ({ x, w, b }) => op.conv(x, w, b, { stride, padding, dilation, groups }),
  })),
  convTranspose: windows.map(({ kernel, stride, dilation, groups, channels: [i, o], batch }) => ({
    inputs: { x: [batch, i * groups, 3, 2], w: [i * groups, o, ...kernel] },
    build: ({ x, w }) => op.convTranspose(x, w, { stride, dilation, groups }),
  })),
  maxPool: windows.map(({ stride, dilation, space, batch, channels: [c], ceilMode }) => ({
    inputs: { x: [batch, c, ...space] },
    build: ({ x }) => op.maxPool(op.mul(x, op.abs(x)), { kernel: 2, stride, dilation, padding: 1, ceilMode }),
  })),
  'maxPool 2×2': fc.record({ batch: length, rows: length, columns: length }).map(({ batch, rows, columns }) => ({
    inputs: { x: [batch, 2, 2 * rows, 2 * columns] },
    build: ({ x }) => op.maxPool(op.mul(x, op.abs(x)), { kernel: 2 }),
  })),
  averagePool: windows.map(({ stride, space, batch, channels: [c], ceilMode, flag }) => ({
    inputs: { x: [batch, c, ...space] },
    build: ({ x }) => op.averagePool(op.mul(x, x), { kernel: 3, stride, padding: 1, ceilMode, countIncludePad: flag }),
  })),
  layerNormalization: fc.record({ rows: length, width: fc.integer({ min: 2, max: 5 }) }).map(({ rows, width }) => ({
    inputs: { x: [2, rows, width], scale: [width], bias: [width] },
    build: ({ x, scale, bias }) => op.layerNormalization(x, scale, bias, { epsilon: 0.1 }),
  })),
  rmsNormalization: fc.record({ rows: length, width: length }).map(({ rows, width }) => ({
    inputs: { x: [2, rows, width], scale: [width] },
    build: ({ x, scale }) => op.rmsNormalization(x, scale, { epsilon: 0.1 }),
  })),
  'batchNormalization, training': fc
    .record({ batch: fc.integer({ min: 2, max: 4 }), c: length, n: length })
    .map(({ batch, c, n }) => ({
      inputs: { x: [batch, c, n, 2], scale: [c], bias: [c] },
      build: ({ x, scale, bias }) => op.batchNormalizationTraining(x, { scale, bias }, { epsilon: 0.1 }).output,
    })),
  'batchNormalization, inference': fc.record({ batch: length, c: length, n: length }).map(({ batch, c, n }) => ({
    inputs: { x: [batch, c, n], scale: [c], bias: [c], mean: [c], variance: [c] },
    build: ({ x, scale, bias, mean, variance }) => op.batchNormalization(x, { scale, bias, mean, variance }),
    positive: true,
  })),
  'transpose, reshape, flip, slice, pad': fc
    .record({
      x: fc.tuple(length, length, length),
      perm: fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
      step: fc.constantFrom(-2, -1, 1, 2),
      border: fc.nat(2),
    })
    .map(({ x, perm, step, border }) => ({
      inputs: { x },
      build: ({ x: t }) => {
        const turned = op.transpose(op.mul(t, t), perm);
        const cut = op.slice(turned, [
          { axis: 1, step },
          { axis: 2, start: 0, end: 2 },
        ]);
        return op.flip(op.pad(op.reshape(cut, [-1, cut.shape[2]]), [border, 0, 1, border], 0.5), [0]);
      },
    })),
  'concat, split, expand': fc.record({ n: length, m: length, k: length }).map(({ n, m, k }) => ({
    inputs: { a: [n, k], b: [m, k], c: [1, k] },
    build: ({ a, b, c }) => {
      const [first, second] = op.split(op.concat([a, b, a], 0), [n, n + m], 0);
      return op.add(op.mul(op.reduceSum(first), second), op.expand(c, [n + m, k]));
    },
  })),
  'gather, gatherElements, scatterElements': fc
    .record({ rows: length, k: length, picks: fc.array(fc.nat(100), { minLength: 1, maxLength: 5 }) })
    .map(({ rows, k, picks }) => ({
      inputs: { x: [rows, k], u: [picks.length, k] },
      build: ({ x, u }, graph) => {
        const at = picks.map((pick) => pick % rows);
        const picked = op.gather(op.mul(x, x), graph.constant(at, [at.length], 'int64'));
        const table = graph.constant(
          at.flatMap((row) => Array(k).fill(row)),
          [at.length, k],
          'int64',
        );
        const added = op.scatterElements(x, table, op.mul(u, picked), { axis: 0, reduction: 'add' });
        return op.gatherElements(op.mul(added, added), table, 0);
      },
    })),
  crossEntropy: fc
    .record({
      n: length,
      classes: fc.integer({ min: 2, max: 4 }),
      labels: fc.array(fc.nat(100), { minLength: 4, maxLength: 4 }),
      ignored: fc.nat(4),
    })
    .map(({ n, classes, labels, ignored }) => ({
      inputs: { x: [n, classes] },
      build: ({ x }, graph) => {
        const given = labels.slice(0, n).map((label, row) => (row === ignored ? -100 : label % classes));
        return op.crossEntropy(x, graph.constant(given, [n], 'int32'));
      },
    })),
  'KL divergence, mean squared error': fc
    .record({ n: length, classes: fc.integer({ min: 2, max: 4 }) })
    .map(({ n, classes }) => ({
      inputs: { a: [n, classes], b: [n, classes] },
      build: ({ a, b }) => op.add(op.klDivergence(a, b), op.meanSquaredError(a, b)),
    })),
  'a small network': fc.record({ n: length, hidden: length }).map(({ n, hidden }) => ({
    // Measured: 1.9e-4 of a Hessian-vector product through a layer norm over one to four features.
    conditioning: 10,
    inputs: { x: [n, 1, 6, 6], w: [2, 1, 3, 3], f: [hidden, 8], g: [3, hidden], scale: [hidden], bias: [hidden] },
    build: ({ x, w, f, g, scale, bias }) => {
      const maps = op.reshape(op.averagePool(op.gelu(op.conv(x, w)), { kernel: 2 }), [n, -1]);
      const features = op.layerNormalization(op.tanh(op.gemm(maps, f, undefined, { transB: true })), scale, bias, {
        epsilon: 0.1,
      });
      return op.softmax(op.gemm(features, g, undefined, { transB: true }));
    },
  })),
};

function draw(stream: RandomStream, target: Shape, positive = false): Value {
  const data = Float64Array.from({ length: sizeOf(target) }, () =>
    positive ? 0.5 + stream.uniform() : stream.normal(),
  );
  return { shape: target, data };
}

/**
 * The derivative of `Σ terms` along a direction, by differences and from the gradient, and its natural scale: the sum of
 * |gradient · direction| over all elements and a tenth of Σ |terms|, of whose constants float32 rounds away 3e-8.
 */
function directional(
  terms: Tensor,
  found: readonly Tensor[],
  names: readonly string[],
  feeds: Record<string, Value>,
  along: Record<string, Value>,
) {
  const at = (by: number) => {
    const shifted = { ...feeds };
    for (const name of names) {
      shifted[name] = { ...feeds[name], data: feeds[name].data.map((value, i) => value + by * along[name].data[i]) };
    }
    return interpret([terms], shifted)[0].data;
  };
  const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);
  const products = interpret(found, feeds).flatMap((g, i) => [...g.data].map((x, j) => x * along[names[i]].data[j]));
  const central = (by: number) => (sum(at(by)) - sum(at(-by))) / (2 * by);
  return {
    analytic: sum(products),
    numeric: (4 * central(h) - central(2 * h)) / 3,
    scale: sum(products.map(Math.abs)) + sum(at(0).map(Math.abs)) / 10,
  };
}

function expectEqualDerivatives({ analytic, numeric, scale }: ReturnType<typeof directional>, what: string): void {
  const error = analytic === numeric ? 0 : Math.abs(analytic - numeric) / scale;
  expect(error, `${what}: ${analytic} from the graph, ${numeric} by differences, of ${scale}`).toBeLessThan(
    differenceTolerance,
  );
}

/** Gradients and Hessian-vector products of one case against differences, and ONNX Runtime against the interpreter. */
async function check({ inputs, build, positive, conditioning = 1 }: Drawn, seed: number): Promise<void> {
  const stream = new RandomStream(seed, 'properties');
  const graph = new Graph();
  const names = Object.keys(inputs);
  const declared = Object.fromEntries(names.map((name) => [name, graph.input(name, inputs[name])]));
  const feeds: Record<string, Value> = Object.fromEntries(
    names.map((name) => [name, draw(stream, inputs[name], positive)]),
  );
  const along = Object.fromEntries(names.map((name) => [name, draw(stream, inputs[name])]));
  const y = build(declared, graph);
  feeds.cotangent = draw(stream, y.shape);
  const terms = op.mul(y, graph.input('cotangent', y.shape));
  const wrt = names.map((name) => declared[name]);
  const first = gradients(op.reduceSum(terms), wrt);
  const present = names.filter((_, i) => first[i]);
  const found = first.filter((g) => g !== undefined);
  expectEqualDerivatives(directional(terms, found, present, feeds, along), 'gradient');

  for (const name of present) feeds[`v ${name}`] = draw(stream, inputs[name]);
  const slopes = op.concat(
    found.map((g, i) => op.reshape(op.mul(g, graph.input(`v ${present[i]}`, g.shape)), [-1])),
    0,
  );
  const second = gradients(op.reduceSum(slopes), wrt);
  const curved = names.filter((_, i) => second[i]);
  const products = second.filter((g) => g !== undefined);
  expectEqualDerivatives(directional(slopes, products, curved, feeds, along), 'Hessian-vector product');

  const outputs = Object.fromEntries([y, ...found, ...products].map((tensor, i) => [`out${i}`, tensor]));
  const program = await compile(outputs, { threads: 1 });
  const fed: Record<string, TypedArray> = {};
  for (const [name, { data }] of Object.entries(feeds)) fed[name] = Float32Array.from(data);
  // The interpreter takes the same rounded inputs as the engine.
  const rounded = Object.fromEntries(
    Object.entries(feeds).map(([name, value]) => [name, { ...value, data: value.data.map(Math.fround) }]),
  );
  const results = await program.run(fed);
  interpret(Object.values(outputs), rounded).forEach(({ data }, i) => {
    const tolerance = conditioning * engineTolerance;
    expect(outOfTolerance(`out${i}`, results[`out${i}`], data, tolerance, engineFloor)).toEqual([]);
  });
  await program.release();
}

describe('gradients and second derivatives against central differences in float64', () => {
  test.each(Object.entries(properties))('%s', async (_, arbitrary) => {
    await fc.assert(fc.asyncProperty(arbitrary, fc.nat(1e6), check), runs);
  });
});
