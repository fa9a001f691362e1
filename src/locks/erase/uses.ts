import { cast, conv, type Graph, mul, type Node, reshape, type Tensor, transpose } from '../../graph/index.js';
import { batchInput } from '../../nn/index.js';

/** What a weight is used for in a forward pass. */
export interface Use {
  /** `linear`: it is multiplied with; `table`: its rows are looked up. */
  readonly kind: 'linear' | 'table';
  /** Whether the rows of the stored weight are inputs and its columns outputs. */
  readonly isTransposed: boolean;
  /** What it gives, before what is added; its gradient is asked for. */
  readonly output: Tensor;
  /** What it is multiplied with, one a row, `[n, in]`; of a table the numbers of the rows that are looked up. */
  readonly inputs: () => Tensor;
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
        uses.push(linearUse(reader, false));
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
        uses.push(productUse(reader));
      }
      continue;
    }
    const use = useOf(node, parameter);
    if (!use) return unknown(node);
    uses.push(use);
  }
  return uses.length > 0 ? uses : { unknown: 'the output does not depend on it' };
}

const unknown = ({ op }: Node): Uses => ({ unknown: `used by ${op} in a way that is not known` });

function useOf(node: Node, parameter: Tensor): Use | undefined {
  const [a, b] = node.inputs;
  switch (node.op) {
    case 'Gemm': {
      const { transA, transB } = node.attributes as { transA: boolean; transB: boolean };
      return b === parameter && a !== parameter && !transA ? linearUse(node, !transB) : undefined;
    }
    case 'MatMul':
      return b === parameter && a !== parameter && parameter.rank === 2 ? linearUse(node, true) : undefined;
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
function linearUse(node: Node, isTransposed: boolean): Use {
  const [x] = node.inputs as [Tensor];
  const [output] = node.outputs;
  return {
    ...{ kind: 'linear', isTransposed, output },
    inputs: () => reshape(masked(x), [-1, x.shape[x.rank - 1]]),
    rows: (gradient) => reshape(gradient, [-1, output.shape[output.rank - 1]]),
  };
}

function productUse(node: Node): Use {
  const [, columns] = node.inputs as [Tensor, Tensor];
  const [output] = node.outputs;
  return {
    ...{ kind: 'linear', isTransposed: false, output },
    inputs: () => transpose(columns),
    rows: (gradient) => transpose(gradient),
  };
}

function tableUse(node: Node, ids: Tensor): Use {
  const [output] = node.outputs;
  const width = output.shape[output.rank - 1];
  return {
    ...{ kind: 'table', isTransposed: false, output },
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
    ...{ kind: 'linear', isTransposed: false, output },
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
  const mask = maskOf(x.graph);
  if (!mask || x.rank !== 3 || x.shape[0] !== mask.shape[0] || x.shape[1] !== mask.shape[1]) return x;
  return mul(x, reshape(cast(mask, x.dtype), [...mask.shape, 1]));
}

/** Which tokens of a batch are no padding, where there are tokens. */
export function maskOf(graph: Graph): Tensor | undefined {
  return graph.inputs.get(batchInput('attention_mask'));
}
