import {
  cast,
  conv,
  type Graph,
  gemm,
  mul,
  type Node,
  reduceSum,
  reshape,
  type Tensor,
  transpose,
} from '../graph/index.js';
import { batchInput } from './arrays.js';

/** What a weight is used for in a forward pass. */
export interface Use {
  /** `linear`: it is multiplied with; `table`: its rows are looked up. */
  readonly kind: 'linear' | 'table';
  /** Whether the rows of the stored weight are inputs and its columns outputs. */
  readonly isTransposed: boolean;
  /** What it gives, before what is added; its gradient is asked for. */
  readonly output: Tensor;
  /** What it is multiplied with, one a row, `[n, in]`, zeros where a token is padding; of a table the numbers of the rows that are looked up. */
  readonly inputs: () => Tensor;
  /** Which of the rows are no padding, 0 or 1, `[n]`; none where all are. */
  readonly counted: () => Tensor | undefined;
  /** What is added to the output, one number for each column of it; none where nothing is. */
  readonly bias?: Tensor;
  /** The gradient of `output`, one a row, `[n, out]`. */
  readonly rows: (gradient: Tensor) => Tensor;
}

/** The uses of a weight, or why nothing is known of its inputs and outputs. */
export type Uses = readonly Use[] | { readonly unknown: string };

/**
 * How a weight of two or more axes is used by what was computed: as a linear layer, a convolution without groups, or a table.
 *
 * @param nodes - The forward pass.
 * @param parameter - The graph input of the weight.
 */
export function usesOf(nodes: readonly Node[], parameter: Tensor): Uses {
  const uses: Use[] = [];
  for (const node of nodes) {
    if (!node.inputs.includes(parameter)) continue;
    if (node.op === 'Transpose') {
      const [turned] = node.outputs;
      for (const reader of nodes.filter(({ inputs }) => inputs.includes(turned))) {
        if (reader.op !== 'MatMul' || reader.inputs[1] !== turned) return unknown(reader);
        uses.push(linearUse(nodes, reader, false));
      }
      continue;
    }
    if (node.op === 'Reshape') {
      const [kernel] = node.outputs;
      for (const reader of nodes.filter(({ inputs }) => inputs.includes(kernel))) {
        // A convolution over a tiny map whose taps all meet something: kernel · columns.
        if (
          reader.op !== 'Gemm' ||
          reader.inputs[0] !== kernel ||
          kernel.rank !== 2 ||
          kernel.shape[0] !== parameter.shape[0]
        ) {
          return unknown(reader);
        }
        uses.push(productUse(nodes, reader));
      }
      continue;
    }
    const use = useOf(nodes, node, parameter);
    if (!use) return unknown(node);
    uses.push(use);
  }
  return uses.length > 0 ? uses : { unknown: 'the output does not depend on it' };
}

const unknown = ({ op }: Node): Uses => ({ unknown: `used by ${op} in a way that is not known` });

/** The one node that reads a tensor; none where there are others. */
function readerOf(nodes: readonly Node[], tensor: Tensor): Node | undefined {
  const found = nodes.filter(({ inputs }) => inputs.includes(tensor));
  return found.length === 1 ? found[0] : undefined;
}

/** What is added to a tensor and to nothing else, before it was laid out to be added. */
function addedTo(nodes: readonly Node[], tensor: Tensor): Tensor | undefined {
  const reader = readerOf(nodes, tensor);
  const other = reader?.op === 'Add' ? reader.inputs.find((input) => input !== tensor) : undefined;
  if (other?.source.kind !== 'node' || other.source.node.op !== 'Reshape') return other;
  return readerOf(nodes, other) ? other.source.node.inputs[0] : undefined;
}

/**
 * The name of the bias of a weight: a parameter of one number for each output, which is used for nothing else; none where there is
 * no such, or the weight is used more than once.
 *
 * @param parameters - Graph inputs of all parameters, by name.
 */
export function biasOf(
  nodes: readonly Node[],
  uses: readonly Use[],
  parameters: ReadonlyMap<string, Tensor>,
): string | undefined {
  const [{ bias }] = uses;
  if (uses.length > 1 || bias?.rank !== 1 || !readerOf(nodes, bias)) return undefined;
  return [...parameters].find(([, parameter]) => parameter === bias)?.[0];
}

/** `Σ x xᵀ` over the rows of `[n, width]`, `[width, width]`; of more columns than `most` its diagonal. */
export function secondMoment(x: Tensor, most: number): Tensor {
  return x.shape[1] > most ? reduceSum(mul(x, x), { axes: [0] }) : gemm(x, x, undefined, { transA: true });
}

const all = () => undefined;

function useOf(nodes: readonly Node[], node: Node, parameter: Tensor): Use | undefined {
  const [a, b] = node.inputs;
  switch (node.op) {
    case 'Gemm': {
      const { transA, transB } = node.attributes as { transA: boolean; transB: boolean };
      return b === parameter && a !== parameter && !transA ? linearUse(nodes, node, !transB) : undefined;
    }
    case 'MatMul':
      return b === parameter && a !== parameter && parameter.rank === 2 ? linearUse(nodes, node, true) : undefined;
    case 'Gather':
      return (node.attributes as { axis: number }).axis === 0 && parameter.rank === 2 && b
        ? tableUse(node, b)
        : undefined;
    case 'Conv':
      return b === parameter && a ? convolutionUse(node as Node<'Conv'>, a, parameter) : undefined;
    default:
      return undefined;
  }
}

/** `x·W` or `x·Wᵀ`, x of any number of axes. */
function linearUse(nodes: readonly Node[], node: Node, isTransposed: boolean): Use {
  const [x, , added] = node.inputs as [Tensor, Tensor, Tensor?];
  const [output] = node.outputs;
  const counted = () => countedOf(x);
  return {
    ...{ kind: 'linear', isTransposed, output, counted },
    bias: node.op === 'Gemm' ? added : addedTo(nodes, output),
    inputs: () => reshape(masked(x), [-1, x.shape[x.rank - 1]]),
    rows: (gradient) => reshape(gradient, [-1, output.shape[output.rank - 1]]),
  };
}

function productUse(nodes: readonly Node[], node: Node): Use {
  const [, columns] = node.inputs as [Tensor, Tensor];
  const [output] = node.outputs;
  // It is laid out as a map before a bias is added.
  let map = output;
  for (let reader = readerOf(nodes, map); reader; reader = readerOf(nodes, map)) {
    if (reader.op !== 'Reshape' && reader.op !== 'Transpose') break;
    [map] = reader.outputs;
  }
  return {
    ...{ kind: 'linear', isTransposed: false, output, counted: all, bias: addedTo(nodes, map) },
    inputs: () => transpose(columns),
    rows: (gradient) => transpose(gradient),
  };
}

function tableUse(node: Node, ids: Tensor): Use {
  const [output] = node.outputs;
  const width = output.shape[output.rank - 1];
  const counted = () => countedOf(output);
  return {
    ...{ kind: 'table', isTransposed: false, output, counted },
    inputs: () => ids,
    rows: (gradient) => reshape(gradient, [-1, width]),
  };
}

/** A convolution of images without groups: what each window meets is one input. */
function convolutionUse(node: Node<'Conv'>, x: Tensor, { shape }: Tensor): Use | undefined {
  const { strides, pads, dilations, group } = node.attributes;
  if (x.rank !== 4 || group !== 1) return undefined;
  const [output] = node.outputs;
  const [batch, channels, height, width] = x.shape;
  const taps = shape[2] * shape[3];
  const byPlace = (map: Tensor, count: number) =>
    reshape(transpose(reshape(map, [batch, count, -1]), [0, 2, 1]), [-1, count]);
  return {
    ...{ kind: 'linear', isTransposed: false, output, counted: all, bias: node.inputs[2] },
    inputs: () => {
      // A kernel for each tap that is 1 there: what a window meets, channel by channel.
      const each = Array.from({ length: taps * taps }, (_, at) => Number(at % (taps + 1) === 0));
      const picks = x.graph.constant(each, [taps, 1, shape[2], shape[3]], x.dtype);
      const met = conv(reshape(x, [batch * channels, 1, height, width]), picks, undefined, {
        ...{ stride: strides, padding: pads, dilation: dilations },
      });
      return byPlace(reshape(met, [batch, channels * taps, -1]), channels * taps);
    },
    rows: (gradient) => byPlace(gradient, output.shape[1]),
  };
}

/** Values of tokens, those of padding set to 0, where these are tokens. */
function masked(x: Tensor): Tensor {
  const mask = tokensOf(x);
  return mask ? mul(x, reshape(cast(mask, x.dtype), [...mask.shape, 1])) : x;
}

/** The same, a number for each row. */
function countedOf(x: Tensor): Tensor | undefined {
  const mask = tokensOf(x);
  return mask && reshape(cast(mask, x.dtype), [-1]);
}

/** The mask of what has a row for each token, where there are tokens. */
function tokensOf({ graph, rank, shape }: Tensor): Tensor | undefined {
  const mask = maskOf(graph);
  return mask && rank === 3 && shape[0] === mask.shape[0] && shape[1] === mask.shape[1] ? mask : undefined;
}

/** Which tokens of a batch are no padding, where there are tokens. */
export function maskOf(graph: Graph): Tensor | undefined {
  return graph.inputs.get(batchInput('attention_mask'));
}
