import type { z } from 'zod';
import type { ModelSpec, StateDict, Weight } from '../../models/index.js';

/** What a transform works on. */
export interface TransformContext {
  /** Architecture and configuration. */
  readonly model: ModelSpec;
  /** The weights to change; they stay as they are. */
  readonly weights: StateDict;
  /** Freshly drawn weights of the same architecture; of another seed in each trial. */
  fresh(): StateDict;
}

/** What an attack does to the released weights before it trains: an entry of the registry. */
export interface Transform<Options = unknown> {
  /** Name in attacks and options. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** Options with defaults. */
  readonly options: z.ZodType<Options>;
  /** Whether it draws fresh weights, so that its result depends on the trial's seed. */
  readonly isSeeded: boolean;
  /** New weights. */
  apply(context: TransformContext, options: Options): ReadonlyMap<string, Weight>;
}

/** A transform with its options, as plain data that can be sent to another process. */
export interface TransformStep {
  /** Name in the registry of transforms. */
  readonly name: string;
  /** Options; what is left out takes its default. */
  readonly options: Readonly<Record<string, unknown>>;
}
