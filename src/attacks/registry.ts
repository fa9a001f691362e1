import { z } from 'zod';
import { Registry } from '../models/index.js';
import { type Raised, raisedOptions } from './clip.js';
import type { AttackTask, Start } from './task.js';

/** An optimizer that an attack tries, with the learning rates of its search. */
export interface AttackOptimizer {
  /** Name in the registry of optimizers. */
  readonly name: string;
  /** Its options; default PyTorch's. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Exponents of ten of the first round of the search, likely ones first. */
  readonly decades: readonly number[];
}

/** What all attacks of one run share: the unauthorized task and the budget, the same for every starting point. */
export interface AttackSetting
  extends Pick<AttackTask, 'data' | 'perClass' | 'steps' | 'batchSize' | 'metric' | 'target' | 'goOn'>,
    Pick<AttackTask, 'hopelessShare' | 'curveGrowth'> {
  /** Optimizers to search; frozen use takes AdamW, or else the first. */
  readonly optimizers: readonly AttackOptimizer[];
  /** Whether half a decade to both sides of the best rate is tried as well; default true. */
  readonly refine?: boolean;
  /** Seeds of the searches. */
  readonly searchSeeds: readonly number[];
  /** Seeds of the runs that are reported. */
  readonly seeds: readonly number[];
}

/** An attack: an entry of the registry. */
export interface Attack<Options = unknown> {
  /** Name on the command line and in tables. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** Whether it knows of the lock. */
  readonly adaptive: boolean;
  /** Options with defaults. */
  readonly options: z.ZodType<Options>;
  /** The searches it takes on a released model. */
  tasks(start: Extract<Start, { kind: 'model' }>, setting: AttackSetting, options: Options): Omit<AttackTask, 'id'>[];
}

/** One search an optimizer, from one starting point. */
export function searches(
  use: AttackTask['use'],
  start: Start,
  { optimizers, refine, searchSeeds, seeds, ...shared }: AttackSetting,
): Omit<AttackTask, 'id'>[] {
  return optimizers.map(({ name, options, decades }) => ({
    ...shared,
    use,
    start,
    optimizer: { name, options },
    budget: { decades, refine, searchSeeds, seeds },
  }));
}

const fineTuneAttack: Attack<Record<string, never>> = {
  name: 'fine-tune',
  description: 'fine-tune all weights at the best learning rate of a search',
  adaptive: false,
  options: z.strictObject({}),
  tasks: (start, setting) => searches('fine-tune', start, setting),
};

const clipAttack: Attack<Raised> = {
  name: 'clip',
  description: 'clip the raised singular values of each matrix to the first one below them, then fine-tune',
  adaptive: true,
  options: raisedOptions,
  tasks: (start, setting, clip) => searches('fine-tune', { ...start, clip }, setting),
};

const resetOptions = z.strictObject({
  include: z
    .array(z.string().min(1))
    .default(['fc*'])
    .describe('names of the weights to draw anew, * stands for any characters'),
});

const resetAttack: Attack<z.output<typeof resetOptions>> = {
  name: 'reset',
  description: 'draw some layers anew, by default all linear ones, and fine-tune what is left of the released weights',
  adaptive: true,
  options: resetOptions,
  tasks: (start, setting, { include }) => searches('fine-tune', { ...start, reset: include }, setting),
};

const clipResetAttack: Attack<Raised & { include: string[] }> = {
  name: 'clip-reset',
  description: 'clip the raised singular values, draw some layers anew, and fine-tune what is left',
  adaptive: true,
  options: raisedOptions.extend({ include: resetOptions.shape.include }),
  tasks: (start, setting, { include, ...clip }) => searches('fine-tune', { ...start, clip, reset: include }, setting),
};

const frozenAttack: Attack<Record<string, never>> = {
  name: 'frozen',
  description: 'leave the weights alone and fit a small classifier on the outputs (a part of the floor)',
  adaptive: false,
  options: z.strictObject({}),
  // Its classifier is trained with AdamW: at that optimizer's rates, where they are searched.
  tasks: (start, { optimizers, ...setting }) => {
    const adamw = optimizers.find(({ name }) => name === 'adamw') ?? optimizers[0];
    return searches('frozen', start, { ...setting, optimizers: [adamw] });
  },
};

/** All attacks by name. */
export const attacks = new Registry<Attack>('attack', [
  fineTuneAttack,
  clipAttack,
  resetAttack,
  clipResetAttack,
  frozenAttack,
] as Attack[]);
