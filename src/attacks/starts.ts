import type { DataSpec } from '../data/index.js';
import type { HeadNeed } from '../models/index.js';
import { Registry } from '../registry/index.js';

/** What an attack starts from: plain data, so that it can be sent to another process. */
export type Start =
  | {
      /** A released model. */
      readonly kind: 'model';
      /** Its model directory. */
      readonly path: string;
      /** Further draws of it, which differ in their seeds alone: a trial takes one of all by its own seed. */
      readonly draws?: readonly string[];
      /** Its configuration, where the directory has no `config.json`. */
      readonly config?: Readonly<Record<string, unknown>>;
      /** The head that the attacker's task needs, where it is not the model's own: drawn anew. */
      readonly head?: HeadNeed;
    }
  | {
      /** Random weights of the same architecture, drawn anew for each seed: training from scratch. */
      readonly kind: 'random';
      /** Model directory whose architecture is taken. */
      readonly like: string;
      /** The architecture's configuration, where the directory has no `config.json`. */
      readonly config?: Readonly<Record<string, unknown>>;
      /** The head that the attacker's task needs, where it is not the model's own. */
      readonly head?: HeadNeed;
    };

/** The examples of an attack as one model reads them. */
export interface ReadExamples {
  /** Unauthorized task. */
  readonly data: DataSpec;
  /** Harmless examples that are trained on in its place. */
  readonly benign?: DataSpec;
  /** Examples without labels. */
  readonly unlabelled?: DataSpec;
}

/** Another public model, which an attacker could take in the place of the released one. */
export interface AlternativeModel {
  /** Its model directory. */
  readonly path: string;
  /** The head that the attacker's task needs, where it is not its own. */
  readonly head?: HeadNeed;
  /** The attacker's examples as it reads them: with its tokenizer, in its size. */
  readonly reads: ReadExamples;
}

/** Model directories that are attacked. */
export interface AttackTargets {
  /** The released, locked model. */
  readonly locked: string;
  /** Further draws of the same lock: what is measured over seeds is then measured over locks, too. */
  readonly lockedDraws?: readonly string[];
  /** The model before the lock, for comparison; without it nothing says what the lock costs an attacker. */
  readonly unlocked?: string;
  /** The sham lock: a model that had the training of the lock without the lock, the control beside it. */
  readonly sham?: string;
  /** Further draws of the sham lock. */
  readonly shamDraws?: readonly string[];
  /** Another public model: what an attacker gains with it belongs to the floor. */
  readonly alternative?: AlternativeModel;
  /** Further models by the name of their starting point. */
  readonly others?: Readonly<Record<string, string | undefined>>;
  /** Their configuration, for directories without `config.json`. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** The head that the attacker's task needs, where it is not the models' own. */
  readonly head?: HeadNeed;
}

/** What a row counts as in the attacker's advantage; `control`: what stands in the locked model's place for the sham lock; `nothing`: it is shown beside the others. */
export type CountsAs = 'locked' | 'unlocked' | 'floor' | 'control' | 'nothing';

/** A starting point of attacks: an entry of the registry. */
export interface StartingPoint {
  /** Name in tables and rows. */
  readonly name: string;
  /** One line for listings. */
  readonly description: string;
  /** Whether it is attacked as one whose weights a lock has changed: what knows of a lock is tried on it. The control is. */
  readonly isLocked: boolean;
  /** What training from it counts as. */
  readonly countsAs: CountsAs;
  /** Where it lies, of the models that were given; undefined where it was not. */
  from(targets: AttackTargets): Start | undefined;
  /** How it reads the examples of an attack, where it is another model than the released one; default as that does. */
  reads?(targets: AttackTargets): ReadExamples | undefined;
}

const modelAt = (
  path: string | undefined,
  { config, head }: AttackTargets,
  draws?: readonly string[],
): Start | undefined =>
  path === undefined ? undefined : { kind: 'model', path, ...(draws && { draws }), config, ...(head && { head }) };

/** Name of the starting point that is another public model. */
export const alternativeStart = 'another model';

/** All starting points by name, in the order of tables. */
export const starts = new Registry<StartingPoint>('starting point', [
  {
    name: 'unlocked',
    description: 'the model before the lock',
    isLocked: false,
    countsAs: 'unlocked',
    from: (targets) => modelAt(targets.unlocked, targets),
  },
  {
    name: 'locked',
    description: 'the released, locked model',
    isLocked: true,
    countsAs: 'locked',
    from: (targets) => modelAt(targets.locked, targets, targets.lockedDraws),
  },
  {
    name: 'sham-locked',
    description: 'the model after the training of the lock without the lock',
    isLocked: true,
    countsAs: 'control',
    from: (targets) => modelAt(targets.sham, targets, targets.shamDraws),
  },
  {
    name: 'random weights',
    description: 'no model at all: training from scratch',
    isLocked: false,
    countsAs: 'floor',
    from: ({ locked, config, head }) => ({ kind: 'random', like: locked, config, ...(head && { head }) }),
  },
  {
    name: alternativeStart,
    description: 'another public model, which an attacker could take instead',
    isLocked: false,
    countsAs: 'floor',
    from: ({ alternative }) =>
      alternative && {
        kind: 'model',
        path: alternative.path,
        ...(alternative.head && { head: alternative.head }),
      },
    reads: ({ alternative }) => alternative?.reads,
  },
]);
