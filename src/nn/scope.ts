import {
  dropout as applyDropout,
  type ConvOptions,
  type FloatType,
  type Graph,
  GraphError,
  type Shape,
  type Tensor,
} from '../graph/index.js';
import { batchInput, weightInput } from './arrays.js';
import { type Initializer, zeros } from './initializers.js';

/**
 * What an entry of a state dict is: a `parameter` has a gradient; a `buffer` has none, its forward pass gives its next
 * value (running statistics); a `counter` counts training steps, `[]`, int64 in files.
 */
export type StateKind = 'parameter' | 'buffer' | 'counter';

/** An entry of a model's state dict: its name, shape, first value, and how training changes it. */
export interface StateSpec {
  /** Name in the state dict, as the original framework calls it. */
  readonly name: string;
  /** Shape; at most one axis but for a parameter, so that nothing takes running statistics for a matrix. */
  readonly shape: Shape;
  /** Draws the first value. */
  readonly initializer: Initializer;
  /** How training changes it. */
  readonly kind: StateKind;
}

/** A dropout mask that has to be fed: 0 or 1 / (1 − p). */
export interface MaskSpec {
  /** Name of the array that a batch feeds it by, which also names its random stream. */
  readonly name: string;
  /** Shape. */
  readonly shape: Shape;
  /** Probability that an element is kept, 1 − p. */
  readonly keepProbability: number;
}

/** A linear layer or a convolution in a forward pass: who looks inside a network finds what it reads and gives. */
export interface LayerUse {
  /** Name of its weight: `[out, in]`, or `[out, in / groups, ...kernel]` of a convolution. */
  readonly weight: string;
  /** Name of its bias; none where it has none. */
  readonly bias?: string;
  /** Whether the weight is stored as `[in, out]`. */
  readonly isTransposed?: true;
  /** What it reads: `[..., in]`, `[batch, in, ...space]` of a convolution. */
  readonly input: Tensor;
  /** What it gives, bias added: `[..., out]`, `[batch, out, ...space]`. */
  readonly output: Tensor;
  /** How its kernel moves; of a convolution alone. */
  readonly convolution?: ConvOptions;
}

/** A part of a network that may be written otherwise: what it reads, and what it gives. */
export interface PartUse {
  /** Name of the scope that holds its parameters, and perhaps others. */
  readonly name: string;
  /** What it reads. */
  readonly input: Tensor;
  /** What it gives. */
  readonly output: Tensor;
}

interface Root {
  readonly state: Map<string, StateSpec>;
  readonly inputs: Map<string, Tensor>;
  readonly updates: Map<string, Tensor>;
  readonly masks: MaskSpec[];
  readonly hidden: Tensor[];
  readonly layers: LayerUse[];
  readonly parts: PartUse[];
}

/**
 * Where layers declare their state while a forward pass is written into a graph. A parameter or buffer becomes a graph
 * input with its name in the state dict; `child` adds a prefix, as PyTorch's modules do.
 */
export class Scope {
  readonly #root: Root;

  /**
   * @param graph - Graph to write into.
   * @param training - Whether dropout is active and statistics are those of the batch; default false.
   * @param dtype - Element type of parameters and buffers, and so of all that is computed; default float32.
   */
  constructor(
    readonly graph: Graph,
    readonly training = false,
    readonly dtype: FloatType = 'float32',
    private readonly prefix = '',
    parent?: Scope,
  ) {
    this.#root = parent
      ? parent.#root
      : { state: new Map(), inputs: new Map(), updates: new Map(), masks: [], hidden: [], layers: [], parts: [] };
  }

  /** The name of the part that this scope is of, `layer4.0.bn1`; empty for the whole model. */
  get name(): string {
    return this.prefix.slice(0, -1);
  }

  /** The state dict's entries declared so far, in order of declaration. */
  get state(): readonly StateSpec[] {
    return [...this.#root.state.values()];
  }

  /** The graph inputs of the parameters, by name. */
  get parameterInputs(): ReadonlyMap<string, Tensor> {
    const isParameter = (name: string) => this.#root.state.get(name)?.kind === 'parameter';
    return new Map([...this.#root.inputs].filter(([name]) => isParameter(name)));
  }

  /** What buffers hold after a step of training, by name. */
  get bufferUpdates(): ReadonlyMap<string, Tensor> {
    return this.#root.updates;
  }

  /** Dropout masks that must be fed at every run. */
  get masks(): readonly MaskSpec[] {
    return this.#root.masks;
  }

  /** What the hidden layers hold, in the order of computation: `[batch, width]`, `[batch, tokens, width]` or `[batch, channels, height, width]`. */
  get hidden(): readonly Tensor[] {
    return this.#root.hidden;
  }

  /** Its linear layers and convolutions, in the order of computation; one that is used twice stands there twice. */
  get layers(): readonly LayerUse[] {
    return this.#root.layers;
  }

  /** Its parts that may be written otherwise, in the order of computation: the feed-forward layers of blocks. */
  get parts(): readonly PartUse[] {
    return this.#root.parts;
  }

  /** The scope of a named part: `child('fc1')` declares `fc1.weight`. */
  child(name: string): Scope {
    return new Scope(this.graph, this.training, this.dtype, `${this.prefix}${name}.`, this);
  }

  /** Declares a parameter, or returns it where this scope has it already (a shared weight). */
  parameter(name: string, shape: Shape, initializer: Initializer): Tensor {
    return this.#declare(name, shape, initializer, 'parameter');
  }

  /** Declares a buffer `[length]`, or returns it where this scope has it already. */
  buffer(name: string, length: number, initializer: Initializer): Tensor {
    return this.#declare(name, [length], initializer, 'buffer');
  }

  /**
   * Says what a buffer holds after a step of training.
   *
   * @throws GraphError when this scope has no such buffer, or has its next value already.
   */
  updateBuffer(name: string, value: Tensor): void {
    const full = this.prefix + name;
    if (this.#root.state.get(full)?.kind !== 'buffer' || this.#root.updates.has(full)) {
      throw new GraphError(`buffer ${full}: expected a declared buffer that is updated once`);
    }
    this.#root.updates.set(full, value);
  }

  /** Declares a count of training steps. The graph does not hold it; whoever runs the steps adds one after each. */
  counter(name: string): void {
    const full = this.prefix + name;
    this.#root.state.set(full, { name: full, shape: [], initializer: zeros, kind: 'counter' });
  }

  /** Says that a value is what a hidden layer or block gives, and returns it. */
  hiddenLayer(x: Tensor): Tensor {
    this.#root.hidden.push(x);
    return x;
  }

  /** Says that a value is what a layer of this scope, with parameters `weight` and perhaps `bias`, gives, and returns it. */
  layer(output: Tensor, use: Pick<LayerUse, 'input' | 'isTransposed' | 'convolution'>): Tensor {
    const bias = `${this.prefix}bias`;
    this.#root.layers.push({
      weight: `${this.prefix}weight`,
      ...(this.#root.inputs.has(bias) && { bias }),
      ...use,
      output,
    });
    return output;
  }

  /** Says that a value is what a part of this scope gives that may be written otherwise, and returns it. */
  part(output: Tensor, input: Tensor): Tensor {
    this.#root.parts.push({ name: this.name, input, output });
    return output;
  }

  /** Dropout with probability `p`; the identity outside training and for p = 0. */
  dropout(x: Tensor, p: number): Tensor {
    if (!this.training || p === 0) return x;
    const name = `mask.${this.#root.masks.length}`;
    const mask = this.graph.input(batchInput(name), x.shape, x.dtype);
    this.#root.masks.push({ name, shape: x.shape, keepProbability: 1 - p });
    return applyDropout(x, mask);
  }

  #declare(name: string, shape: Shape, initializer: Initializer, kind: StateKind): Tensor {
    const full = this.prefix + name;
    const known = this.#root.inputs.get(full);
    if (known) return known;
    const tensor = this.graph.input(weightInput(full), shape, this.dtype);
    this.#root.inputs.set(full, tensor);
    this.#root.state.set(full, { name: full, shape, initializer, kind });
    return tensor;
  }
}
