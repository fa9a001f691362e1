import { dropout as applyDropout, type Graph, type Shape, type Tensor } from '../graph/index.js';
import type { Initializer } from './initializers.js';

/** A parameter of a model: its name in the state dict, shape, and first value. */
export interface ParameterSpec {
  /** Name in the state dict, as the original framework calls it. */
  readonly name: string;
  /** Shape. */
  readonly shape: Shape;
  /** Draws the first value. */
  readonly initializer: Initializer;
}

/** A dropout mask that has to be fed: 0 or 1 / (1 − p). */
export interface MaskSpec {
  /** Name of the graph input. */
  readonly name: string;
  /** Shape. */
  readonly shape: Shape;
  /** Probability that an element is kept, 1 − p. */
  readonly keepProbability: number;
}

/**
 * Where layers declare their parameters while a forward pass is written into a graph. A parameter becomes a graph input
 * with its name in the state dict; `child` adds a prefix, as PyTorch's modules do.
 */
export class Scope {
  readonly #root: { parameters: Map<string, ParameterSpec>; inputs: Map<string, Tensor>; masks: MaskSpec[] };

  /**
   * @param graph - Graph to write into.
   * @param training - Whether dropout is active; default false.
   */
  constructor(
    readonly graph: Graph,
    readonly training = false,
    private readonly prefix = '',
    parent?: Scope,
  ) {
    this.#root = parent ? parent.#root : { parameters: new Map(), inputs: new Map(), masks: [] };
  }

  /** Parameters declared so far, in order of declaration. */
  get parameters(): readonly ParameterSpec[] {
    return [...this.#root.parameters.values()];
  }

  /** The graph inputs of the parameters, by name. */
  get parameterInputs(): ReadonlyMap<string, Tensor> {
    return this.#root.inputs;
  }

  /** Dropout masks that must be fed at every run. */
  get masks(): readonly MaskSpec[] {
    return this.#root.masks;
  }

  /** The scope of a named part: `child('fc1')` declares `fc1.weight`. */
  child(name: string): Scope {
    return new Scope(this.graph, this.training, `${this.prefix}${name}.`, this);
  }

  /** Declares a parameter, or returns it where this scope has it already (a shared weight). */
  parameter(name: string, shape: Shape, initializer: Initializer): Tensor {
    const full = this.prefix + name;
    const known = this.#root.inputs.get(full);
    if (known) return known;
    const tensor = this.graph.input(full, shape);
    this.#root.inputs.set(full, tensor);
    this.#root.parameters.set(full, { name: full, shape, initializer });
    return tensor;
  }

  /** Dropout with probability `p`; the identity outside training and for p = 0. */
  dropout(x: Tensor, p: number): Tensor {
    if (!this.training || p === 0) return x;
    const mask = this.graph.input(`mask.${this.#root.masks.length}`, x.shape);
    this.#root.masks.push({ name: `mask.${this.#root.masks.length}`, shape: x.shape, keepProbability: 1 - p });
    return applyDropout(x, mask);
  }
}
