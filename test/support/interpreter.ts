import { ancestors, type Node, type Shape, sizeOf, type Tensor } from '../../src/graph/index.js';
import type { OpAttributes, OpType } from '../../src/graph/ops.js';

/** A value of the interpreter: float64 whatever the graph's element type, row-major. */
export interface Value {
  shape: Shape;
  data: Float64Array;
}

type Evaluate<K extends OpType> = (inputs: Value[], attributes: OpAttributes[K], node: Node) => Value | Value[];

/**
 * Evaluates tensors of a graph in float64 with plain loops over indices. It shares no code with the engine and none with
 * the gradient rules: what both agree on is unlikely to be wrong in the same way.
 */
export function interpret(outputs: readonly Tensor[], feeds: Readonly<Record<string, Value>>): Value[] {
  const known = new Map<Tensor, Value>();
  const lookUp = (tensor: Tensor): Value => {
    const value = known.get(tensor);
    if (value) return value;
    const { source } = tensor;
    if (source.kind === 'input') return feeds[source.name];
    if (source.kind === 'constant') return { shape: tensor.shape, data: Float64Array.from(source.values, Number) };
    throw new Error(`${tensor}: expected a value`);
  };
  for (const node of ancestors(outputs)) {
    const evaluate = operators[node.op] as Evaluate<OpType>;
    const inputs = node.inputs.map((input) => (input ? lookUp(input) : undefined)) as Value[];
    const result = evaluate(inputs, node.attributes, node);
    (Array.isArray(result) ? result : [result]).forEach((value, index) => {
      known.set(node.outputs[index], value);
    });
  }
  return outputs.map(lookUp);
}

/** Calls back with every index of a shape, in row-major order. */
function forEachIndex(shape: Shape, visit: (index: number[], flat: number) => void): void {
  const index = shape.map(() => 0);
  for (let flat = 0; flat < sizeOf(shape); flat++) {
    visit(index, flat);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
}

function flatten(index: readonly number[], shape: Shape): number {
  return index.reduce((flat, position, axis) => flat * shape[axis] + position, 0);
}

/** The element that broadcasting puts at an index of a larger shape. */
function broadcastAt({ shape, data }: Value, index: readonly number[]): number {
  const own = index.slice(index.length - shape.length).map((position, axis) => (shape[axis] === 1 ? 0 : position));
  return data[flatten(own, shape)];
}

function filled(shape: Shape, at: (index: number[], flat: number) => number): Value {
  const data = new Float64Array(sizeOf(shape));
  forEachIndex(shape, (index, flat) => {
    data[flat] = at(index, flat);
  });
  return { shape, data };
}

const elementwise =
  (f: (...values: number[]) => number) =>
  (inputs: Value[], _attributes: unknown, node: Node): Value =>
    filled(node.outputs[0].shape, (index) => f(...inputs.map((input) => broadcastAt(input, index))));

/** Error function by its Taylor series, or by a continued fraction far out: 1e-15 everywhere. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = a;
    let sum = a;
    for (let n = 1; Math.abs(term) > 1e-18 * sum; n++) {
      term *= (-a * a) / n;
      sum += term / (2 * n + 1);
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction));
}

/** Reduces axes with a fold over all elements that fall together. */
function reduced(x: Value, axes: readonly number[], shape: Shape, fold: (values: number[]) => number): Value {
  const kept = x.shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
  const groups = Array.from({ length: sizeOf(kept) }, () => [] as number[]);
  forEachIndex(x.shape, (index, flat) => {
    groups[
      flatten(
        index.map((position, axis) => (axes.includes(axis) ? 0 : position)),
        kept,
      )
    ].push(x.data[flat]);
  });
  return { shape, data: Float64Array.from(groups, fold) };
}

const reduction =
  (fold: (values: number[]) => number) =>
  ([x]: Value[], { axes }: OpAttributes['ReduceSum'], node: Node): Value =>
    reduced(x, axes, node.outputs[0].shape, fold);

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

/** Softmax, or its logarithm, along an axis. */
const softmax =
  (log: boolean) =>
  ([x]: Value[], { axis }: { axis: number }): Value => {
    const kept = x.shape.map((length, i) => (i === axis ? 1 : length));
    const largest = reduced(x, [axis], kept, (values) => Math.max(...values));
    const total = reduced(
      filled(x.shape, (index, flat) => Math.exp(x.data[flat] - broadcastAt(largest, index))),
      [axis],
      kept,
      sum,
    );
    return filled(x.shape, (index, flat) => {
      const shifted = x.data[flat] - broadcastAt(largest, index);
      return log ? shifted - Math.log(broadcastAt(total, index)) : Math.exp(shifted) / broadcastAt(total, index);
    });
  };

type Taps = (position: readonly number[], visit: (source: number[], tap: number[]) => void) => void;

/** Visits the input positions that a window at an output position covers; those in the padding are left out. */
function windowTaps(
  space: Shape,
  kernel: Shape,
  { strides, pads, dilations }: { strides: readonly number[]; pads: readonly number[]; dilations: readonly number[] },
): Taps {
  return (position, visit) =>
    forEachIndex(kernel, (tap) => {
      const source = tap.map((t, axis) => position[axis] * strides[axis] - pads[axis] + t * dilations[axis]);
      if (source.every((at, axis) => at >= 0 && at < space[axis])) visit(source, [...tap]);
    });
}

function matMul([a, b]: Value[], _attributes: unknown, node: Node): Value {
  const { shape } = node.outputs[0];
  const inner = a.shape[a.shape.length - 1];
  return filled(shape, (index) => {
    const batch = index.slice(0, -2);
    const [row, column] = index.slice(-2);
    let total = 0;
    for (let k = 0; k < inner; k++) total += broadcastAt(a, [...batch, row, k]) * broadcastAt(b, [...batch, k, column]);
    return total;
  });
}

function gemm([a, b, c]: Value[], { alpha, beta, transA, transB }: OpAttributes['Gemm'], node: Node): Value {
  const inner = a.shape[transA ? 0 : 1];
  return filled(node.outputs[0].shape, ([row, column]) => {
    let total = 0;
    for (let k = 0; k < inner; k++) {
      total += broadcastAt(a, transA ? [k, row] : [row, k]) * broadcastAt(b, transB ? [column, k] : [k, column]);
    }
    return alpha * total + (c ? beta * broadcastAt(c, [row, column]) : 0);
  });
}

function conv([x, w, bias]: Value[], attributes: OpAttributes['Conv'], node: Node): Value {
  const [, inPerGroup, ...kernel] = w.shape;
  const outPerGroup = w.shape[0] / attributes.group;
  const taps = windowTaps(x.shape.slice(2), kernel, attributes);
  return filled(node.outputs[0].shape, ([n, out, ...position]) => {
    let total = bias ? bias.data[out] : 0;
    taps(position, (source, tap) => {
      for (let c = 0; c < inPerGroup; c++) {
        const channel = Math.floor(out / outPerGroup) * inPerGroup + c;
        total += x.data[flatten([n, channel, ...source], x.shape)] * w.data[flatten([out, c, ...tap], w.shape)];
      }
    });
    return total;
  });
}

/** Every input element adds itself times the kernel around its place: the transpose of {@link conv}. */
function convTranspose([x, w]: Value[], attributes: OpAttributes['ConvTranspose'], node: Node): Value {
  const { shape } = node.outputs[0];
  const [inChannels, outPerGroup, ...kernel] = w.shape;
  const inPerGroup = inChannels / attributes.group;
  const result = filled(shape, () => 0);
  const taps = windowTaps(shape.slice(2), kernel, attributes);
  forEachIndex(x.shape, ([n, channel, ...position], flat) => {
    taps(position, (target, tap) => {
      for (let o = 0; o < outPerGroup; o++) {
        const out = Math.floor(channel / inPerGroup) * outPerGroup + o;
        result.data[flatten([n, out, ...target], shape)] +=
          x.data[flat] * w.data[flatten([channel, o, ...tap], w.shape)];
      }
    });
  });
  return result;
}

function maxPool([x]: Value[], attributes: OpAttributes['MaxPool'], node: Node): Value[] {
  const { shape } = node.outputs[0];
  const indices = new Float64Array(sizeOf(shape));
  const taps = windowTaps(x.shape.slice(2), attributes.kernelShape, attributes);
  const values = filled(shape, ([n, channel, ...position], flat) => {
    let best = Number.NEGATIVE_INFINITY;
    taps(position, (source) => {
      const at = flatten([n, channel, ...source], x.shape);
      if (x.data[at] > best) [best, indices[flat]] = [x.data[at], at];
    });
    return best;
  });
  return [values, { shape, data: indices }];
}

function averagePool([x]: Value[], attributes: OpAttributes['AveragePool'], node: Node): Value {
  const { kernelShape, pads, countIncludePad } = attributes;
  const space = x.shape.slice(2);
  const rank = space.length;
  const padded = space.map((length, axis) => length + pads[axis] + pads[axis + rank]);
  const covered = windowTaps(padded, kernelShape, { ...attributes, pads: pads.map(() => 0) });
  return filled(node.outputs[0].shape, ([n, channel, ...position]) => {
    let total = 0;
    let count = 0;
    covered(position, (place) => {
      const source = place.map((at, axis) => at - pads[axis]);
      const inside = source.every((at, axis) => at >= 0 && at < space[axis]);
      if (inside) total += x.data[flatten([n, channel, ...source], x.shape)];
      if (inside || countIncludePad) count++;
    });
    return total / count;
  });
}

function layerNormalization([x, scale, bias]: Value[], { axis, epsilon }: OpAttributes['LayerNormalization']): Value[] {
  const axes = x.shape.map((_, i) => i).slice(axis);
  const kept = x.shape.map((length, i) => (i < axis ? length : 1));
  const mean = reduced(x, axes, kept, (values) => sum(values) / values.length);
  const deviation = reduced(x, axes, kept, (values) => {
    const centre = sum(values) / values.length;
    return 1 / Math.sqrt(sum(values.map((value) => (value - centre) ** 2)) / values.length + epsilon);
  });
  const y = filled(x.shape, (index, flat) => {
    const normalized = (x.data[flat] - broadcastAt(mean, index)) * broadcastAt(deviation, index);
    return normalized * broadcastAt(scale, index) + (bias ? broadcastAt(bias, index) : 0);
  });
  return [y, mean, deviation];
}

function rmsNormalization([x, scale]: Value[], { axis, epsilon }: OpAttributes['RMSNormalization']): Value[] {
  const axes = x.shape.map((_, i) => i).slice(axis);
  const kept = x.shape.map((length, i) => (i < axis ? length : 1));
  const square = reduced(x, axes, kept, (values) => sum(values.map((value) => value ** 2)) / values.length);
  const y = filled(x.shape, (index, flat) => {
    return (x.data[flat] / Math.sqrt(broadcastAt(square, index) + epsilon)) * broadcastAt(scale, index);
  });
  return [y];
}

const operators: { readonly [K in OpType]: Evaluate<K> } = {
  Add: elementwise((a, b) => a + b),
  Sub: elementwise((a, b) => a - b),
  Mul: elementwise((a, b) => a * b),
  Div: elementwise((a, b) => a / b),
  Pow: elementwise((a, b) => a ** b),
  Max: elementwise(Math.max),
  Min: elementwise(Math.min),
  Equal: elementwise((a, b) => Number(a === b)),
  Less: elementwise((a, b) => Number(a < b)),
  LessOrEqual: elementwise((a, b) => Number(a <= b)),
  Greater: elementwise((a, b) => Number(a > b)),
  GreaterOrEqual: elementwise((a, b) => Number(a >= b)),
  And: elementwise((a, b) => a * b),
  Or: elementwise((a, b) => Math.max(a, b)),
  Not: elementwise((a) => 1 - a),
  Where: elementwise((condition, a, b) => (condition ? a : b)),
  Neg: elementwise((a) => -a),
  Abs: elementwise(Math.abs),
  Sign: elementwise(Math.sign),
  Exp: elementwise(Math.exp),
  Log: elementwise(Math.log),
  Sqrt: elementwise(Math.sqrt),
  Reciprocal: elementwise((a) => 1 / a),
  Sin: elementwise(Math.sin),
  Cos: elementwise(Math.cos),
  Relu: elementwise((a) => Math.max(a, 0)),
  Sigmoid: elementwise((a) => 1 / (1 + Math.exp(-a))),
  Tanh: elementwise(Math.tanh),
  Erf: elementwise(erf),
  Gelu: (inputs, { approximate }, node) =>
    elementwise((a) =>
      approximate === 'none'
        ? (a * (1 + erf(a / Math.SQRT2))) / 2
        : (a * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (a + 0.044715 * a ** 3)))) / 2,
    )(inputs, {}, node),
  Cast: ([x], { to }) => ({
    ...x,
    data: to.startsWith('float')
      ? x.data
      : x.data.map((value) => (to === 'bool' ? Number(value !== 0) : Math.trunc(value))),
  }),
  MatMul: matMul,
  Gemm: gemm,
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: maxPool,
  AveragePool: averagePool,
  ReduceSum: reduction(sum),
  ReduceMean: reduction((values) => sum(values) / values.length),
  ReduceMax: reduction((values) => Math.max(...values)),
  ReduceMin: reduction((values) => Math.min(...values)),
  ArgMax: ([x], { axis }, node) =>
    reduced(x, [axis], node.outputs[0].shape, (values) => values.indexOf(Math.max(...values))),
  Softmax: softmax(false),
  LogSoftmax: softmax(true),
  LayerNormalization: layerNormalization,
  RMSNormalization: rmsNormalization,
  BatchNormalization: ([x, scale, bias, mean, variance], { epsilon }) =>
    filled(x.shape, ([, c], flat) => {
      return ((x.data[flat] - mean.data[c]) / Math.sqrt(variance.data[c] + epsilon)) * scale.data[c] + bias.data[c];
    }),
  Transpose: ([x], { perm }, node) =>
    filled(node.outputs[0].shape, (index) => {
      const source: number[] = [];
      perm.forEach((axis, i) => {
        source[axis] = index[i];
      });
      return x.data[flatten(source, x.shape)];
    }),
  Reshape: ([x], { shape }) => ({ shape, data: x.data }),
  Expand: ([x], { shape }) => filled(shape, (index) => broadcastAt(x, index)),
  Slice: ([x], { starts, axes, steps }, node) =>
    filled(node.outputs[0].shape, (index) => {
      const source = [...index];
      axes.forEach((axis, i) => {
        source[axis] = starts[i] + index[axis] * steps[i];
      });
      return x.data[flatten(source, x.shape)];
    }),
  Pad: ([x], { pads, value }, node) =>
    filled(node.outputs[0].shape, (index) => {
      const source = index.map((position, axis) => position - pads[axis]);
      return source.every((at, axis) => at >= 0 && at < x.shape[axis]) ? x.data[flatten(source, x.shape)] : value;
    }),
  Concat: (inputs, { axis }, node) =>
    filled(node.outputs[0].shape, (index) => {
      const source = [...index];
      const part = inputs.find(({ shape }) => {
        if (source[axis] < shape[axis]) return true;
        source[axis] -= shape[axis];
        return false;
      });
      return part ? part.data[flatten(source, part.shape)] : Number.NaN;
    }),
  Split: ([x], { axis, sizes }, node) =>
    node.outputs.map(({ shape }, part) =>
      filled(shape, (index) => {
        const source = [...index];
        source[axis] += sum(sizes.slice(0, part));
        return x.data[flatten(source, x.shape)];
      }),
    ),
  Gather: ([data, indices], { axis }, node) =>
    filled(node.outputs[0].shape, (index) => {
      const picked = indices.data[flatten(index.slice(axis, axis + indices.shape.length), indices.shape)];
      return data.data[
        flatten([...index.slice(0, axis), picked, ...index.slice(axis + indices.shape.length)], data.shape)
      ];
    }),
  GatherElements: ([data, indices], { axis }) =>
    filled(indices.shape, (index, flat) => {
      const source = [...index];
      source[axis] = indices.data[flat];
      return data.data[flatten(source, data.shape)];
    }),
  ScatterElements: ([data, indices, updates], { axis, reduction: how }) => {
    const result = { shape: data.shape, data: data.data.slice() };
    forEachIndex(indices.shape, (index, flat) => {
      const target = [...index];
      target[axis] = indices.data[flat];
      const at = flatten(target, data.shape);
      result.data[at] = updates.data[flat] + (how === 'add' ? result.data[at] : 0);
    });
    return result;
  },
};
