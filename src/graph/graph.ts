import { type DType, GraphError, type Shape, sizeOf, type TypedArray, typedArray } from './dtype.js';
import { inferOutputs } from './inference/index.js';
import type { OpAttributes, OpType } from './ops.js';

/** One application of an operator; its outputs are {@link Tensor}s. */
export interface Node<K extends OpType = OpType> {
  /** Position in creation order, which is a topological order. */
  readonly id: number;
  /** Operator. */
  readonly op: K;
  /** Input tensors; `undefined` where an optional input is left out. */
  readonly inputs: readonly (Tensor | undefined)[];
  /** Attributes of the operator. */
  readonly attributes: OpAttributes[K];
  /** Output tensors. */
  readonly outputs: readonly Tensor[];
}

/** Where a tensor comes from: fed from outside, fixed, or computed. */
export type Source =
  | {
      /** Fed at every run. */
      readonly kind: 'input';
      /** Its name. */
      readonly name: string;
    }
  | {
      /** Fixed. */
      readonly kind: 'constant';
      /** Row-major. */
      readonly values: TypedArray;
    }
  | {
      /** Computed. */
      readonly kind: 'node';
      /** By this node. */
      readonly node: Node;
      /** As its output of this number. */
      readonly index: number;
    };

/** A value of a {@link Graph}: a fixed shape and element type, no data. */
export class Tensor {
  /** @internal */
  constructor(
    /** The graph it belongs to. */
    readonly graph: Graph,
    /** Position in creation order. */
    readonly id: number,
    /** Axis lengths. */
    readonly shape: Shape,
    /** Element type. */
    readonly dtype: DType,
    /** What it comes from. */
    readonly source: Source,
  ) {}

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** `name float32[2, 3]`, for messages. */
  toString(): string {
    const name =
      this.source.kind === 'input'
        ? this.source.name
        : this.source.kind === 'constant'
          ? 'constant'
          : this.source.node.op;
    return `${name} ${this.dtype}[${this.shape.join(', ')}]`;
  }
}

/**
 * A computation with static shapes whose operators are ONNX's. It only grows: tensors are never changed, and the same
 * operator on the same inputs is the same tensor (so a repeated expression costs nothing).
 *
 * @example
 * const graph = new Graph();
 * const x = graph.input('x', [2, 3]);
 * const loss = reduceSum(mul(x, x));
 * const [dx] = gradients(loss, [x]);
 */
export class Graph {
  readonly #inputs = new Map<string, Tensor>();
  readonly #known = new Map<string, readonly Tensor[]>();
  #nextId = 0;

  /** The inputs declared so far, by name. */
  get inputs(): ReadonlyMap<string, Tensor> {
    return this.#inputs;
  }

  /**
   * Declares a tensor that is fed at every run.
   *
   * @throws GraphError when the name is taken.
   */
  input(name: string, shape: Shape, dtype: DType = 'float32'): Tensor {
    if (this.#inputs.has(name)) throw new GraphError(`input ${name}: expected a new name, it is already declared`);
    checkShape(`input ${name}`, shape);
    const tensor = new Tensor(this, this.#nextId++, [...shape], dtype, { kind: 'input', name });
    this.#inputs.set(name, tensor);
    return tensor;
  }

  /** A fixed tensor; `values` are row-major. */
  constant(values: ArrayLike<number>, shape: Shape, dtype: DType = 'float32'): Tensor {
    checkShape('constant', shape);
    if (values.length !== sizeOf(shape)) {
      throw new GraphError(
        `constant: expected ${sizeOf(shape)} values for [${shape.join(', ')}], got ${values.length}`,
      );
    }
    const make = () => {
      const source = { kind: 'constant', values: typedArray(dtype, values) } as const;
      return [new Tensor(this, this.#nextId++, [...shape], dtype, source)];
    };
    if (values.length > 64) return make()[0];
    return this.#once(`constant ${dtype} ${shape} ${Array.from(values, formatNumber)}`, make)[0];
  }

  /** A fixed number of shape `[]`. */
  scalar(value: number, dtype: DType = 'float32'): Tensor {
    return this.constant([value], [], dtype);
  }

  /**
   * Applies an operator. The functions of the builder (`add`, `matMul`, `conv`, …) are the comfortable way.
   *
   * @throws GraphError when inputs and attributes don't fit, naming operator, shapes and tensor.
   */
  apply<K extends OpType>(
    op: K,
    inputs: readonly (Tensor | undefined)[],
    attributes: OpAttributes[K],
  ): readonly Tensor[] {
    for (const input of inputs) {
      if (input && input.graph !== this)
        throw new GraphError(`${op}: expected tensors of one graph, ${input} is of another`);
    }
    // JSON has no infinities, NaN or −0, and a pad value may be any of them.
    const exact = (_name: string, value: unknown) => (typeof value === 'number' ? formatNumber(value) : value);
    const key = `${op} ${inputs.map((input) => input?.id ?? '-')} ${JSON.stringify(attributes, exact)}`;
    return this.#once(key, () => {
      const types = inferOutputs(op, inputs, attributes);
      const outputs: Tensor[] = [];
      const node: Node<K> = { id: this.#nextId++, op, inputs: [...inputs], attributes, outputs };
      types.forEach(({ shape, dtype }, index) => {
        outputs.push(
          new Tensor(this, this.#nextId++, shape, dtype, { kind: 'node', node: node as unknown as Node, index }),
        );
      });
      return outputs;
    });
  }

  #once(key: string, make: () => readonly Tensor[]): readonly Tensor[] {
    const known = this.#known.get(key);
    if (known) return known;
    const made = make();
    this.#known.set(key, made);
    return made;
  }
}

function formatNumber(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

function checkShape(what: string, shape: Shape): void {
  if (!shape.every((length) => Number.isSafeInteger(length) && length >= 0) || !Number.isSafeInteger(sizeOf(shape))) {
    throw new GraphError(`${what}: expected axis lengths that are whole numbers from 0, got [${shape.join(', ')}]`);
  }
}

/**
 * The nodes that the given tensors depend on, in topological order.
 *
 * @param isSource - Tensors that are taken as given, whatever computes them; default none.
 */
export function ancestors(tensors: readonly Tensor[], isSource: (tensor: Tensor) => boolean = () => false): Node[] {
  const found = new Set<Node>();
  const pending = [...tensors];
  for (let tensor = pending.pop(); tensor; tensor = pending.pop()) {
    if (tensor.source.kind !== 'node' || isSource(tensor) || found.has(tensor.source.node)) continue;
    found.add(tensor.source.node);
    for (const input of tensor.source.node.inputs) if (input) pending.push(input);
  }
  return [...found].sort((a, b) => a.id - b.id);
}
