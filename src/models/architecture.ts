import type { z } from 'zod';
import { Graph, GraphError, type Tensor } from '../graph/index.js';
import { Scope } from '../nn/index.js';
import { InputError } from '../registry/index.js';

/** A family of models: what its `config.json` holds and how it computes logits. */
export interface Architecture<Config = unknown> {
  /** Name, the `architecture` key of `config.json`. */
  readonly name: string;
  /** One line for listings. */
  readonly description: string;
  /** Keys of `config.json` with their defaults: a strict object. */
  readonly config: z.ZodObject & z.ZodType<Config>;
  /** Class that Hugging Face's `config.json` names under `architectures`; none where it has no such class. */
  readonly huggingFaceClass?: string;
  /** Shape of one example, without the batch axis. */
  inputShape(config: Config): readonly number[];
  /** Number of classes. */
  classes(config: Config): number;
  /** The keys of `config.json` that make a new model fit examples of this shape with these classes. */
  fit(inputShape: readonly number[], classes: readonly string[]): Record<string, unknown>;
  /** `config.json` of a new model as its original framework reads it; default the configuration itself. */
  toFile?(config: Config): Record<string, unknown>;
  /** Logits `[batch, classes]` of inputs `[batch, ...inputShape]`. */
  forward(scope: Scope, x: Tensor, config: Config): Tensor;
}

/** A forward pass written into a graph of its own. */
export interface ForwardPass {
  /** The graph. */
  readonly graph: Graph;
  /** Holds the declared state and masks. */
  readonly scope: Scope;
  /** Input `[batch, ...inputShape]`, fed as `x`. */
  readonly x: Tensor;
  /** Logits `[batch, classes]`. */
  readonly logits: Tensor;
}

/** An architecture with its configuration: all that determines a graph but for the batch. */
export interface ModelSpec {
  /** The architecture. */
  readonly architecture: Architecture;
  /** Its parsed configuration. */
  readonly config: unknown;
}

/**
 * Writes the forward pass of a model for a batch size.
 *
 * @throws InputError when the configuration cannot be built, or not for training with this batch size.
 */
export function buildForward({ architecture, config }: ModelSpec, batchSize: number, training = false): ForwardPass {
  const graph = new Graph();
  const scope = new Scope(graph, training);
  const x = graph.input('x', [batchSize, ...architecture.inputShape(config)]);
  try {
    return { graph, scope, x, logits: architecture.forward(scope, x, config) };
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    // What an architecture's schema lets through: the operator's message says what does not fit, this one whose fault it is.
    const message = `${architecture.name}: expected a configuration that can be built, ${error.message}`;
    throw new InputError(message, { cause: error });
  }
}
