import { onnx } from '../formats/index.js';
import { allocate, type DType, GraphError, type Shape, type TypedArray, typedArray } from './dtype.js';
import { ancestors, type Node, type Tensor } from './graph.js';
import { type OnnxForm, onnxDataType, onnxForm } from './onnx-attributes.js';
import type { OpType } from './ops.js';

/** The operator set that files are written for, and the version of the file format that goes with it. */
const plain = { opset: 20, irVersion: 9 };
/** Those of files with operators that came later. */
const later = { opset: 23, irVersion: 11 };
const laterOperators: ReadonlySet<OpType> = new Set<OpType>(['RMSNormalization']);

/**
 * Writes the part of a graph that the given outputs need as an ONNX model. Inputs keep their names and order of
 * declaration; inputs that no output needs are left out.
 *
 * @param outputs - Tensors by the names they get as outputs of the model.
 * @param sentinel - Name of one more output, written first: a sequence of tensors that is empty; default none.
 * @throws GraphError when there are no outputs, they are of several graphs, or a name is both an input and an output.
 */
export function toOnnx(
  outputs: Readonly<Record<string, Tensor>>,
  { sentinel }: { sentinel?: string } = {},
): Uint8Array {
  const results = Object.entries(outputs);
  if (results.length === 0) throw new GraphError('toOnnx: expected at least one output, got none');
  const graph = results[0][1].graph;
  for (const [name, tensor] of results) {
    if (tensor.graph !== graph) throw new GraphError(`toOnnx: expected outputs of one graph, ${name} is of another`);
    if (graph.inputs.has(name)) throw new GraphError(`toOnnx: expected names that are no inputs, got output ${name}`);
  }

  const names = sentinel === undefined ? Object.keys(outputs) : [sentinel, ...Object.keys(outputs)];
  const writer = new ModelWriter(new Set([...graph.inputs.keys(), ...names]));
  const nodes = ancestors(
    results.map(([, tensor]) => tensor),
    isEmpty,
  );
  const read = new Set<Tensor | undefined>([...nodes.flatMap((node) => node.inputs), ...results.map(([, y]) => y)]);
  for (const node of nodes) writer.node(node, read);
  for (const [name, tensor] of results) writer.output(name, tensor);
  if (sentinel !== undefined) writer.emptySequence(sentinel);
  const inputs = [...graph.inputs.values()].filter((input) => writer.used.has(input));
  const { opset, irVersion } = nodes.some(({ op }) => laterOperators.has(op)) ? later : plain;
  return onnx.encodeOnnx(
    onnx.createOnnxModel({
      irVersion: BigInt(irVersion),
      producerName: 'weightlock',
      opsetImport: [{ domain: '', version: BigInt(opset) }],
      graph: {
        name: 'graph',
        input: inputs.map((input) => valueInfo(writer.name(input), input)),
        output: [
          ...(sentinel === undefined ? [] : [{ name: sentinel, type: sequenceType }]),
          ...results.map(([name, tensor]) => valueInfo(name, tensor)),
        ],
        initializer: writer.initializers,
        node: writer.nodes,
      },
    }),
  );
}

/**
 * Whether a computed tensor has no elements. It is written as an empty constant: several kernels of ONNX Runtime fail on
 * empty tensors (Expand of an axis of length 1 to 0, Reshape of the result), and there is nothing to compute.
 */
function isEmpty(tensor: Tensor): boolean {
  return tensor.size === 0 && tensor.source.kind === 'node';
}

/** The first output is always written; these operators' others only where they are read, because they cost time. */
const optionalOutputs: ReadonlySet<OpType> = new Set<OpType>(['MaxPool', 'LayerNormalization']);

type NodeInit = { opType: string; name: string; input: string[]; output: string[]; attribute: AttributeInit[] };
type AttributeInit = { name: string; type: number; i?: bigint; f?: number; s?: Uint8Array; ints?: bigint[] };
type TensorInit = { name: string; dims: bigint[]; dataType: number; rawData: Uint8Array };

class ModelWriter {
  readonly nodes: NodeInit[] = [];
  readonly initializers: TensorInit[] = [];
  /** Tensors that some node or output reads. */
  readonly used = new Set<Tensor>();
  readonly #names = new Map<Tensor, string>();
  readonly #constants = new Map<string, string>();
  readonly #taken: Set<string>;

  constructor(taken: Set<string>) {
    this.#taken = taken;
  }

  /** The name of a tensor in the file; constants are written when first named. */
  name(tensor: Tensor): string {
    this.used.add(tensor);
    const known = this.#names.get(tensor);
    if (known) return known;
    const { source } = tensor;
    const name = source.kind === 'input' ? source.name : this.#fresh(`t${tensor.id}`);
    if (source.kind === 'constant') this.#initializer(name, source.values, tensor.shape, tensor.dtype);
    if (isEmpty(tensor)) this.#initializer(name, allocate(tensor.dtype, 0), tensor.shape, tensor.dtype);
    this.#names.set(tensor, name);
    return name;
  }

  node(node: Node, read: ReadonlySet<Tensor | undefined>): void {
    const form = onnxForm(node.op, node.attributes);
    const inputs = node.inputs.map((input) => (input ? this.name(input) : ''));
    const type = node.inputs[0]?.dtype ?? 'float32';
    for (const constant of form.constants ?? []) inputs.push(this.#constant(constant, type));
    this.nodes.push({
      opType: node.op,
      name: `${node.op}_${node.id}`,
      input: inputs,
      output: this.#outputs(node, read),
      attribute: Object.entries(form.attributes).flatMap(([name, value]) => attribute(name, value)),
    });
  }

  #outputs(node: Node, read: ReadonlySet<Tensor | undefined>): string[] {
    const names = node.outputs.map((output, index) => {
      if (index > 0 && optionalOutputs.has(node.op) && !read.has(output)) return '';
      return isEmpty(output) ? this.#fresh(`t${output.id}`) : this.name(output);
    });
    while (names.at(-1) === '') names.pop();
    return names;
  }

  output(name: string, tensor: Tensor): void {
    this.nodes.push({
      opType: 'Identity',
      name: `output_${name}`,
      input: [this.name(tensor)],
      output: [name],
      attribute: [],
    });
  }

  emptySequence(name: string): void {
    this.nodes.push({ opType: 'SequenceEmpty', name: `output_${name}`, input: [], output: [name], attribute: [] });
  }

  #constant(constant: NonNullable<OnnxForm['constants']>[number], type: DType): string {
    const [values, shape, dtype] =
      'scalar' in constant
        ? ([[constant.scalar], [], type] as const)
        : ([constant, [constant.length], 'int64'] as const);
    const key = `${dtype} ${shape} ${values}`;
    const known = this.#constants.get(key);
    if (known) return known;
    const name = this.#fresh(`c${this.#constants.size}`);
    this.#initializer(name, typedArray(dtype, values), shape, dtype);
    this.#constants.set(key, name);
    return name;
  }

  #initializer(name: string, values: TypedArray, shape: Shape, dtype: DType): void {
    const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.initializers.push({ name, dims: shape.map(BigInt), dataType: onnxDataType[dtype], rawData });
  }

  #fresh(wanted: string): string {
    let name = wanted;
    while (this.#taken.has(name)) name = `${name}_`;
    this.#taken.add(name);
    return name;
  }
}

function attribute(name: string, value: OnnxForm['attributes'][string]): AttributeInit[] {
  const types = onnx.AttributeProto_AttributeType;
  if (value === undefined) return [];
  if (typeof value === 'number') return [{ name, type: types.INT, i: BigInt(value) }];
  if (typeof value === 'string') return [{ name, type: types.STRING, s: new TextEncoder().encode(value) }];
  if ('float' in value) return [{ name, type: types.FLOAT, f: value.float }];
  return [{ name, type: types.INTS, ints: value.map(BigInt) }];
}

/** A sequence of float32 tensors. */
const sequenceType = {
  value: {
    case: 'sequenceType' as const,
    value: {
      elemType: { value: { case: 'tensorType' as const, value: { elemType: onnxDataType.float32 } } },
    },
  },
};

function valueInfo(name: string, { shape, dtype }: Tensor) {
  return {
    name,
    type: {
      value: {
        case: 'tensorType' as const,
        value: {
          elemType: onnxDataType[dtype],
          shape: { dim: shape.map((length) => ({ value: { case: 'dimValue' as const, value: BigInt(length) } })) },
        },
      },
    },
  };
}
