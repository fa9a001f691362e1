import { add, mul, reciprocal, reduceMean, sqrt, sub, tanh } from '../builder/index.js';
import { ancestors, type Graph, type Node, type Tensor } from '../graph.js';
import type { OpAttributes, OpType } from '../ops.js';
import { rewritten } from '../rewrite.js';
import { erfOf } from './erf.js';
import { averagePoolByTaps, convByTaps, convTransposeByTaps } from './taps.js';

/** How an operator is written by others, given its inputs, all float64. */
type Form<K extends OpType> = (
  inputs: readonly Tensor[],
  attributes: OpAttributes[K],
  outputs: readonly Tensor[],
) => Tensor | readonly Tensor[];

/** The operators that ONNX Runtime's CPU computes in float32 only, by those that it has in float64. */
const forms: { readonly [K in OpType]?: Form<K> } = {
  Conv: ([x, w, bias], attributes, [y]) => convByTaps(x, w, bias, { ...attributes, space: y.shape.slice(2) }),
  ConvTranspose: ([x, w], attributes, [y]) => convTransposeByTaps(x, w, { ...attributes, shape: y.shape }),
  AveragePool: ([x], attributes, [y]) => averagePoolByTaps(x, { ...attributes, space: y.shape.slice(2) }),
  Erf: ([x]) => erfOf(x),
  Gelu: ([x], { approximate }) => {
    const half = mul(x, 0.5);
    if (approximate === 'none') return mul(half, add(erfOf(mul(x, Math.SQRT1_2)), 1));
    const inner = mul(add(x, mul(mul(x, mul(x, x)), 0.044715)), Math.sqrt(2 / Math.PI));
    return mul(half, add(tanh(inner), 1));
  },
  // Its kernel gives mean and deviation in float32 whatever the input is.
  LayerNormalization: ([x, scale, bias], { axis, epsilon }) => {
    const axes = x.shape.map((_, index) => index).slice(axis);
    const mean = reduceMean(x, { axes, keepDims: true });
    const centred = sub(x, mean);
    const deviation = reciprocal(sqrt(add(reduceMean(mul(centred, centred), { axes, keepDims: true }), epsilon)));
    const y = mul(mul(centred, deviation), scale);
    return [bias ? add(y, bias) : y, mean, deviation];
  },
};

function formOf({ op, outputs }: Node): Form<OpType> | undefined {
  return outputs[0].dtype === 'float64' ? (forms[op] as Form<OpType> | undefined) : undefined;
}

/**
 * The same computation without the operators that ONNX Runtime's CPU lacks in float64: convolutions and average pools become
 * products of taps, the error function a rational approximation to the last digits. Layer normalization is written out, because
 * its kernel gives two of its results in float32. Done when a program is compiled, so
 * that whoever builds graphs and gradients need not know.
 *
 * @param outputs - Tensors of one graph.
 * @returns The given tensors where there is no such node, as in every float32 graph.
 */
export function runnableInDouble(outputs: Readonly<Record<string, Tensor>>): Readonly<Record<string, Tensor>> {
  if (!ancestors(Object.values(outputs)).some((node) => formOf(node))) return outputs;
  return rewritten(outputs, {
    node(graph: Graph, node, inputs) {
      const form = formOf(node);
      if (!form || node.outputs[0].size === 0) return graph.apply(node.op, inputs, node.attributes);
      const given = inputs.filter((input) => input !== undefined);
      return [form(given, node.attributes, node.outputs)].flat();
    },
  });
}
