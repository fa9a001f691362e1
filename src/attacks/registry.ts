import { Registry } from '../registry/index.js';
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
  extends Pick<AttackTask, 'data' | 'perClass' | 'steps' | 'batchSize' | 'metric' | 'target' | 'continueAfterTarget'>,
    Pick<AttackTask, 'giveUpBelow' | 'evaluationSpacing'> {
  /** Optimizers to search; frozen use takes AdamW, or else the first. */
  readonly optimizers: readonly AttackOptimizer[];
  /** Whether half a decade to both sides of the best rate is tried as well; default true. */
  readonly refine?: boolean;
  /** Seeds of the searches. */
  readonly searchSeeds: readonly number[];
  /** Seeds of the runs that are reported. */
  readonly seeds: readonly number[];
}

/** An attack: an entry of the registry, a composition of transforms and a use of the weights. */
export interface Attack {
  /** Name on the command line and in tables. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** Whether it knows of the lock. */
  readonly adaptive: boolean;
  /** How the weights are used. */
  readonly use: AttackTask['use'];
  /** Names of the transforms of the released weights, in their order. */
  readonly transforms: readonly string[];
}

/** Options of the transforms that an attacker may use, by their name; a transform without an entry is not used. */
export type TransformOptions = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

/** Whether an attacker who may use these transforms can run an attack. */
export function isAvailable(attack: Attack, transforms: TransformOptions): boolean {
  return attack.transforms.every((name) => transforms[name] !== undefined);
}

/** The searches of an attack on a released model: one for each optimizer, one for frozen use. */
export function attackSearches(
  attack: Attack,
  start: Extract<Start, { kind: 'model' }>,
  setting: AttackSetting,
  transforms: TransformOptions = {},
): Omit<AttackTask, 'id'>[] {
  const steps = attack.transforms.map((name) => ({ name, options: transforms[name] ?? {} }));
  // The classifier of frozen use is trained with AdamW: at that optimizer's rates, where they are searched.
  const { optimizers } = setting;
  const used =
    attack.use === 'frozen' ? [optimizers.find(({ name }) => name === 'adamw') ?? optimizers[0]] : optimizers;
  return searches(attack.use, { ...start, transforms: steps }, { ...setting, optimizers: used });
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

/** Fine-tuning after some transforms. */
function transformed(transforms: readonly string[], description: string): Attack {
  return { name: transforms.join('-'), description, adaptive: true, use: 'fine-tune', transforms };
}

/** All attacks by name. */
export const attacks = new Registry<Attack>('attack', [
  {
    name: 'fine-tune',
    description: 'fine-tune all weights at the best learning rate of a search',
    adaptive: false,
    use: 'fine-tune',
    transforms: [],
  },
  transformed(['rescale'], 'rescale the layers without changing a decision, then fine-tune'),
  transformed(['clip'], 'clip the raised singular values of each matrix to the first one below them, then fine-tune'),
  transformed(['clip', 'rescale'], 'clip the raised singular values, rescale the layers, then fine-tune'),
  transformed(['reset'], 'draw some layers anew, by default all linear ones, and fine-tune with what is left'),
  transformed(['rescale', 'reset'], 'rescale the layers, draw some anew, and fine-tune with what is left'),
  transformed(['clip', 'reset'], 'clip the raised singular values, draw some layers anew, and fine-tune'),
  transformed(['clip', 'rescale', 'reset'], 'clip, rescale, draw some layers anew, and fine-tune'),
  {
    name: 'frozen',
    description: 'leave the weights alone and fit a small classifier on the outputs (a part of the floor)',
    adaptive: false,
    use: 'frozen',
    transforms: [],
  },
]);
