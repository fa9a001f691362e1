import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { type FloatType, Graph, GraphError, type Tensor } from '../graph/index.js';
import {
  type ArraySpecs,
  batchInput,
  batchSpecs,
  type DeepLowRankShape,
  type ExampleSpecs,
  Scope,
  type StateSpec,
} from '../nn/index.js';
import { InputError } from '../registry/index.js';
import type { StateDictPolicy } from './state-dict-policy.js';
import type { TextDecoder } from './text-decoder.js';

/** What a model's outputs are: a task asks for one kind of head. */
export interface Head {
  /**
   * What a task asks for: `classifier` gives `logits` `[batch, size]`, one a class; `token-classifier` the same of every token;
   * `causal-lm` and `masked-lm` `logits` `[batch, tokens, size]`, one a token of the vocabulary; `embedding` gives
   * `embedding` `[batch, size]`.
   */
  readonly kind: string;
  /** Length of the output's last axis. */
  readonly size: number;
}

/** The head that a task needs of a new model. */
export interface HeadNeed {
  /** Kind of the head. */
  readonly kind: string;
  /** What its outputs are called, in their order. */
  readonly labels: readonly string[];
}

/** Tensors by name: what a forward pass takes, or gives. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** A family of models: what its `config.json` holds and how it computes. */
export interface Architecture<Config = unknown> {
  /** Name, the `architecture` key of `config.json`. */
  readonly name: string;
  /** One line for listings. */
  readonly description: string;
  /** Keys of `config.json` with their defaults: a strict object. */
  readonly config: z.ZodObject & z.ZodType<Config>;
  /**
   * Classes of transformers that it reads, as `config.json` names them under `architectures`, and the kind of head of each:
   * the first is that of a configuration that names none. Its name is then transformers' `model_type`.
   */
  readonly classes?: Readonly<Record<string, string>>;
  /** Arrays of one example. */
  inputs(config: Config): ExampleSpecs;
  /** What it gives. */
  head(config: Config): Head;
  /** The keys of `config.json` that make a new model take such examples and give such outputs. */
  fit(example: ArraySpecs, head: HeadNeed): Record<string, unknown>;
  /** `config.json` of a new model as its original framework reads it; default the configuration itself. */
  toFile?(config: Config): Record<string, unknown>;
  /** In what files of weights may differ from the state that it declares; default strict. */
  stateDictPolicy?(config: Config): StateDictPolicy;
  /** How it computes a text token by token; none where it cannot. */
  readonly decoder?: TextDecoder<Config>;
  /** Its feed-forward layers, where they can be written otherwise. */
  readonly feedForward?: FeedForward<Config>;
  /** Outputs by name (`logits` of a classifier) of the inputs of a batch. */
  forward(scope: Scope, inputs: Tensors, config: Config): Tensors;
}

/** How the feed-forward layers of an architecture are written, and how they can be written otherwise. */
export interface FeedForward<Config> {
  /** Writes that of a block, with the names that its parameters have in the scope of the block's part. */
  write(scope: Scope, x: Tensor, config: Config): Tensor;
  /** The model with deep networks of low rank in their place; none where they are that. */
  deep?(config: Config, shape: DeepLowRankShape): ModelSpec;
  /** The model with plain layers so wide in the place of deep networks; none where they are no such. */
  plain?(config: Config, inner: number): ModelSpec;
}

/** A forward pass written into a graph of its own. */
export interface ForwardPass {
  /** The graph. */
  readonly graph: Graph;
  /** Holds the declared state and masks. */
  readonly scope: Scope;
  /** Outputs by name. */
  readonly outputs: Tensors;
}

/** A model without its weights: all that determines a graph but for the batch. */
export interface ModelSpec {
  /** Its family. */
  readonly architecture: Architecture;
  /** The family's parsed configuration. */
  readonly config: unknown;
  /** Names the graph: two models of one digest compute the same with the same weights. */
  readonly digest: string;
  /** Arrays of one example. */
  readonly inputs: ExampleSpecs;
  /** What it gives. */
  readonly head: Head;
  /**
   * Writes the forward pass for a batch of arrays.
   *
   * @param batch - Its arrays; those that the model does not take are left out.
   * @param options - `training`: with dropout, and statistics of the batch; default false. `dtype`: what parameters, buffers
   *   and the batch's arrays of float32 are computed in; default float32.
   * @throws InputError when the arrays are not those of the model, or its configuration cannot be built, or not for
   *   training with this batch.
   */
  build(batch: ArraySpecs, options?: { training?: boolean; dtype?: FloatType }): ForwardPass;
}

/** A model of a family. */
export function modelOf<Config>(architecture: Architecture<Config>, config: Config): ModelSpec {
  const inputs = architecture.inputs(config);
  return {
    architecture: architecture as Architecture,
    config,
    digest: createHash('sha256')
      .update(JSON.stringify([architecture.name, config]))
      .digest('hex'),
    inputs,
    head: architecture.head(config),
    build(batch, { training = false, dtype = 'float32' } = {}) {
      const graph = new Graph();
      const scope = new Scope(graph, training, dtype);
      const fed = Object.entries(inputs).map(([name, expected]) => {
        const given = batch[name];
        requireLike(architecture.name, name, expected, given);
        const type = given.dtype === 'float32' ? dtype : given.dtype;
        return [name, graph.input(batchInput(name), given.shape, type)] as const;
      });
      try {
        return { graph, scope, outputs: architecture.forward(scope, Object.fromEntries(fed), config) };
      } catch (error) {
        if (!(error instanceof GraphError)) throw error;
        // What an architecture's schema lets through: the operator's message says what does not fit, this one whose fault it is.
        const message = `${architecture.name}: expected a configuration that can be built, ${error.message}`;
        throw new InputError(message, { cause: error });
      }
    },
  };
}

/** Whether an array of one example is what a model takes. */
export function isLike(expected: ExampleSpecs[string], { shape, dtype }: ArraySpecs[string]): boolean {
  return (
    dtype === expected.dtype &&
    shape.length === expected.shape.length &&
    expected.shape.every((length, axis) => length === null || length === shape[axis])
  );
}

function requireLike(
  model: string,
  name: string,
  expected: ExampleSpecs[string],
  given: ArraySpecs[string] | undefined,
) {
  if (given && isLike(expected, { ...given, shape: given.shape.slice(1) })) return;
  const wanted = `${expected.dtype}[batch, ${expected.shape.map((length) => length ?? 'any').join(', ')}]`;
  const found = given ? `${given.dtype}[${given.shape.join(', ')}]` : 'none';
  throw new InputError(`${model}: expected an input ${name} ${wanted}, found ${found}`);
}

/** Arrays of the smallest example that a model takes: axes of any length are of one. */
export function smallestExample({ inputs }: Pick<ModelSpec, 'inputs'>): ArraySpecs {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, dtype }]) => [
      name,
      { shape: shape.map((length) => length ?? 1), dtype },
    ]),
  );
}

/** Arrays of the smallest batch of so many examples that a model takes. */
export function smallestBatch(spec: Pick<ModelSpec, 'inputs'>, size = 1): ArraySpecs {
  return batchSpecs(smallestExample(spec), size);
}

/** The entries of a model's state dict, in order of declaration. */
export function modelState(spec: ModelSpec): readonly StateSpec[] {
  return spec.build(smallestBatch(spec)).scope.state;
}

/** What an architecture of images takes: `x` `[channels, height, width]`. */
export function imageInput(shape: readonly number[]): ExampleSpecs {
  return { x: { shape, dtype: 'float32' } };
}
