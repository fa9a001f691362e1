import type * as builder from '../../src/graph/builder/index.js';
import type { DType, Tensor } from '../../src/graph/index.js';

/** Options of a case of tools/oracles/graph_ops.py, as the builder takes them. */
export interface CaseOptions {
  axis: number;
  axes?: number[];
  keepDims?: boolean;
  shape: number[];
  perm?: number[];
  ranges: builder.Range[];
  pads: number[];
  value: number;
  sizes: number[];
  to: DType;
  kernel: number | number[];
  epsilon?: number;
  ignoreIndex?: number;
  reduction?: 'none' | 'add';
  approximate?: 'none' | 'tanh';
}

/** Builds the outputs of a case; `op` is the builder. */
export type BuildCase = (
  op: typeof builder,
  inputs: Record<string, Tensor>,
  options: CaseOptions,
) => Tensor | readonly Tensor[];

type Named<F> = { [K in keyof typeof builder]: (typeof builder)[K] extends F ? K : never }[keyof typeof builder];
type Unary = Named<(x: Tensor) => Tensor>;
type Binary = Named<(a: Tensor, b: Tensor) => Tensor>;
type Reduce = Named<(x: Tensor, options?: builder.ReductionOptions) => Tensor>;

const unary =
  (name: Unary): BuildCase =>
  (op, { x }) =>
    op[name](x);
const binary =
  (name: Binary): BuildCase =>
  (op, { a, b }) =>
    op[name](a, b);
const reduce =
  (name: Reduce): BuildCase =>
  (op, { x }, options) =>
    op[name](x, options);

const resnetBlock: BuildCase = (op, { x, w1, s1, h1, w2, s2, h2, labels }) => {
  const first = op.conv(x, w1, undefined, { stride: 2, padding: 1 });
  const y = op.relu(op.batchNormalizationTraining(first, { scale: s1, bias: h1 }).output);
  const second = op.conv(y, w2, undefined, { padding: 1 });
  const sum = op.add(op.batchNormalizationTraining(second, { scale: s2, bias: h2 }).output, y);
  return op.crossEntropy(op.reshape(op.globalAveragePool(op.relu(sum)), [x.shape[0], -1]), labels);
};

const attention: BuildCase = (op, { x, wq, wk, wv, wo, scale, bias, mask }) => {
  const [n, t, d] = x.shape;
  const h = op.layerNormalization(x, scale, bias);
  const heads = (w: Tensor) =>
    op.transpose(op.reshape(op.matMul(h, op.matrixTranspose(w)), [n, t, 2, d / 2]), [0, 2, 1, 3]);
  const scores = op.div(op.matMul(heads(wq), op.matrixTranspose(heads(wk))), Math.sqrt(d / 2));
  const mixed = op.matMul(op.softmax(op.where(mask, scores, -1e9)), heads(wv));
  const y = op.matMul(op.reshape(op.transpose(mixed, [0, 2, 1, 3]), [n, t, d]), op.matrixTranspose(wo));
  const out = op.gelu(op.add(y, x));
  return op.reduceMean(op.mul(out, out));
};

/** How each `op` of the oracle is built. */
export const cases: Readonly<Record<string, BuildCase>> = {
  add: binary('add'),
  sub: binary('sub'),
  mul: binary('mul'),
  div: binary('div'),
  pow: binary('pow'),
  max: binary('max'),
  min: binary('min'),
  dropout: binary('dropout'),
  powNumber: (op, { a }, { value }) => op.pow(a, value),
  numbers: (op, { a }) => op.div(op.sub(3, op.mul(op.add(a, 2), 0.5)), op.div(1, a)),
  equal: binary('equal'),
  less: binary('less'),
  lessOrEqual: binary('lessOrEqual'),
  greater: binary('greater'),
  greaterOrEqual: binary('greaterOrEqual'),
  and: binary('and'),
  or: binary('or'),
  not: unary('not'),
  where: (op, { c, a, b }) => op.where(c, a, b),
  whereNumber: (op, { c, a }) => op.where(c, a, 7),
  neg: unary('neg'),
  abs: unary('abs'),
  sign: unary('sign'),
  exp: unary('exp'),
  log: unary('log'),
  sqrt: unary('sqrt'),
  reciprocal: unary('reciprocal'),
  sin: unary('sin'),
  cos: unary('cos'),
  relu: unary('relu'),
  sigmoid: unary('sigmoid'),
  tanh: unary('tanh'),
  erf: unary('erf'),
  gelu: (op, { x }, { approximate }) => op.gelu(x, { approximate }),
  silu: unary('silu'),
  cast: (op, { x }, { to }) => (to === x.dtype ? op.mul(op.cast(x, to), x) : op.cast(x, to)),
  castRound: (op, { x }) => op.cast(op.mul(op.cast(x, 'float64'), op.cast(x, 'float64')), 'float32'),

  matMul: binary('matMul'),
  gemm: (op, { a, b, c }, options) => op.gemm(a, b, c, options as builder.GemmOptions),

  conv: (op, { x, w, b }, options) => op.conv(x, w, b, options as builder.ConvOptions),
  convTranspose: (op, { x, w }, options) => op.convTranspose(x, w, options as builder.ConvOptions),
  maxPool: (op, { x }, options) => op.maxPool(x, options),
  averagePool: (op, { x }, options) => op.averagePool(x, options),
  globalAveragePool: unary('globalAveragePool'),
  globalMaxPool: unary('globalMaxPool'),

  reduceSum: reduce('reduceSum'),
  reduceMean: reduce('reduceMean'),
  reduceMax: reduce('reduceMax'),
  reduceMin: reduce('reduceMin'),
  variance: reduce('variance'),
  argMax: (op, { x }, { axis, keepDims }) => op.argMax(x, axis, { keepDims }),
  softmax: (op, { x }, { axis }) => op.softmax(x, axis),
  logSoftmax: (op, { x }, { axis }) => op.logSoftmax(x, axis),

  layerNormalization: (op, { x, scale, bias }, options) => op.layerNormalization(x, scale, bias, options),
  rmsNormalization: (op, { x, scale }, options) => op.rmsNormalization(x, scale, options),
  batchNormalization: (op, { x, scale, bias, mean, variance }, options) =>
    op.batchNormalization(x, { scale, bias, mean, variance }, options),
  batchNormalizationTraining: (op, { x, scale, bias }) => {
    const { output, mean, variance } = op.batchNormalizationTraining(x, { scale, bias });
    return [output, mean, variance];
  },

  transpose: (op, { x }, { perm }) => op.transpose(x, perm),
  matrixTranspose: unary('matrixTranspose'),
  reshape: (op, { x }, { shape }) => op.reshape(x, shape),
  unsqueeze: (op, { x }, { axis }) => op.unsqueeze(x, axis),
  expand: (op, { x }, { shape }) => op.expand(x, shape),
  slice: (op, { x }, { ranges }) => op.slice(x, ranges),
  flip: (op, { x }, { axes }) => op.flip(x, axes ?? []),
  pad: (op, { x }, { pads, value }) => op.pad(x, pads, value),
  concat: (op, inputs, { axis }) => op.concat(Object.values(inputs), axis),
  concatSame: (op, { x }) => op.concat([x, op.mul(x, x), x], 1),
  split: (op, { x }, { sizes, axis }) => op.split(x, sizes, axis),
  splitOne: (op, { x }, { sizes, axis }) => op.pow(op.split(x, sizes, axis)[1], 2),
  gather: (op, { x, i }, { axis }) => op.gather(x, i, axis),
  gatherElements: (op, { x, i }, { axis }) => op.gatherElements(x, i, axis),
  scatterElements: (op, { x, i, u }, options) => op.scatterElements(x, i, u, options),
  zerosLike: unary('zerosLike'),

  crossEntropy: (op, { x, labels }, options) => op.crossEntropy(x, labels, options),
  crossEntropyPerExample: (op, { x, labels }, options) => op.crossEntropyPerExample(x, labels, options),
  meanSquaredError: binary('meanSquaredError'),
  klDivergence: binary('klDivergence'),

  mlp: (op, { x, w1, b1, w2, labels }) => {
    const hidden = op.relu(op.gemm(x, w1, b1, { transB: true }));
    return op.crossEntropy(op.gemm(hidden, w2, undefined, { transB: true }), labels);
  },
  resnetBlock,
  attention,
  embedding: (op, { table, ids, w }) => {
    const y = op.tanh(op.matMul(op.gather(table, ids), w));
    return op.reduceSum(op.mul(y, y));
  },
};
