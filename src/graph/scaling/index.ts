import { ancestors, type Tensor } from '../graph.js';
import type { OpType } from '../ops.js';
import type { ScaleRule } from './rule.js';
import { elementwiseScales, matrixScales, movementScales, reductionScales } from './rules.js';
import { fixed, type Scale, ScaleSystem } from './system.js';

/** One rule for every operator: a missing one does not compile. */
const rules: { readonly [K in OpType]: ScaleRule<K> } = {
  ...elementwiseScales,
  ...matrixScales,
  ...reductionScales,
  ...movementScales,
};

/** All ways to multiply inputs of a graph by positive factors that multiply its output by a positive factor. */
export interface ScaleSymmetries {
  /**
   * A basis, by the input whose factor may be chosen: the logarithms of the factors of all inputs (those that are not
   * named are 0) where its own is 1 and those of the other free inputs are 0.
   */
  readonly basis: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** Inputs that are variances `v` of a batch normalization, with its ε: it is `v + ε` that is multiplied. */
  readonly variances: ReadonlyMap<string, number>;
}

/**
 * The positive rescalings of some inputs that leave a graph's output the same but for one positive factor, so that the
 * largest of its elements stays where it is. ReLU networks have one for each layer, because ReLU and pools are positively
 * homogeneous: f(c·x) = c·f(x) for c > 0. Residual sums bind the layers of their branches to one factor; batch normalization
 * frees its input's. What is not homogeneous (softmax, tanh, layer normalization) allows no factor at its input.
 *
 * @param output - Whose factor does not matter: logits.
 * @param inputs - Names of the inputs that may be multiplied; the others stay.
 */
export function scaleSymmetries(output: Tensor, inputs: Iterable<string>): ScaleSymmetries {
  const free = new Set(inputs);
  const system = new ScaleSystem();
  const variances = new Map<string, number>();
  const scales = new Map<Tensor, Scale>();
  const scaleOf = (tensor: Tensor): Scale => {
    const { source } = tensor;
    if (source.kind === 'input') return free.has(source.name) ? new Map([[source.name, 1]]) : fixed;
    if (source.kind === 'constant') return source.values.every((value) => Number(value) === 0) ? 'zero' : fixed;
    return scales.get(tensor) ?? fixed;
  };
  for (const node of ancestors([output])) {
    const inputScales = node.inputs.map((input) => input && scaleOf(input));
    const scale = (rules[node.op] as ScaleRule<OpType>)(inputScales, node, system);
    for (const tensor of node.outputs) scales.set(tensor, scale);
    const variance = node.op === 'BatchNormalization' ? node.inputs[4]?.source : undefined;
    if (variance?.kind === 'input') variances.set(variance.name, (node.attributes as { epsilon: number }).epsilon);
  }
  return { basis: system.basis(free), variances };
}
