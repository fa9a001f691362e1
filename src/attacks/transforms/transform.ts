import type { z } from 'zod';
import type { FlopTally } from '../../engine/index.js';
import type { LockKnowledge } from '../../locks/index.js';
import type { ModelSpec, StateDict, Weight } from '../../models/index.js';
import type { Bench } from '../preparation/bench.js';
import type { Work } from '../trial/work.js';

/** What a transform works on. */
export interface TransformContext {
  /** Architecture and configuration. */
  readonly model: ModelSpec;
  /** The weights to change; they stay as they are. */
  readonly weights: StateDict;
  /** Freshly drawn weights of the architecture that the attack trains; of another seed in each trial. */
  fresh(): StateDict;
  /** Seed of the trial, for what a seeded transform draws itself. */
  readonly seed: number;
  /** The weights of a model that the transform {@link Transform.reads}, by its directory. */
  other(path: string): StateDict;
  /**
   * What the attacker has to work with, of a transform that {@link Transform.works}.
   *
   * @throws InputError where weights are transformed without an attack around it.
   */
  bench(): Bench;
  /** Counts the floating-point operations of closed forms, which are the attacker's too; those of graphs are counted as they run. */
  readonly tally: FlopTally;
  /** Says what was done, to be charged to the attacker, and what is to be said of it. */
  charge(work: Partial<Work>): void;
}

/** What is known of a starting point when attacks on it are planned. */
export interface StartFacts {
  /** Architecture and configuration. */
  readonly model: ModelSpec;
  /** Its weights as they lie on disk, before any transform. */
  readonly weights: StateDict;
  /** Whether a lock has changed them, or the control stands for one that did: elsewhere there is nothing of a lock to undo. */
  readonly isLocked: boolean;
  /** Whether its head was drawn for the attacker's task: then what its outputs say of that is chance. Default false. */
  readonly isNewHead?: boolean;
}

/** What is known of an attacker when attacks are planned. */
export interface AttackerFacts {
  /** Whether he has examples like those of the authorized task. */
  readonly hasRetain: boolean;
  /** Whether he has examples without labels. */
  readonly hasUnlabelled: boolean;
}

/** What an attack does to the released weights before it trains: an entry of the registry. */
export interface Transform<Options = unknown> {
  /** Name in attacks and options. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** Options with defaults: a strict object. */
  readonly options: z.ZodType<Options>;
  /** Whether it draws something, so that its result depends on the trial's seed. */
  readonly isSeeded: boolean;
  /** Whether it trains, or looks at what the model does with examples, so that it needs a bench; default false. */
  readonly works?: boolean;
  /**
   * Whether what it gives is made of the released model's outputs alone, and of none of its weights: then an attack with it belongs
   * to the floor. Default false.
   */
  readonly outputsAlone?: boolean;
  /** Whether it can use what the attacker has without labels; default false. */
  readonly onUnlabelled?: boolean;
  /** Whether somebody does it who knows of no lock; default false. */
  readonly ofAnyone?: boolean;
  /** Whether it is of use without a released model as well, on weights that were just drawn; default false. */
  readonly alsoOnRandom?: boolean;
  /** What it did, in tables: of weights that nothing else was done to (`clipped`), and in a row (`clip`); default its name. */
  readonly label?: { readonly alone: string; readonly joined: string };
  /** What an attacker does with it, in a sentence: `rescaling the layers`; default its name. */
  readonly doing?: string;
  /** What it does to the weights, in the notes of a table: `clip` `cuts the raised singular values back`. */
  readonly does?: string;
  /** What an attacker must know for it, beside that there is a lock; default nothing. */
  readonly knows?: string;
  /** How a command offers its options under its name; default all of them, as a group. */
  readonly offer?: TransformOffer<Options>;
  /**
   * The architecture of what it gives, of a transform that changes it: then it is the first of an attack, and {@link apply} gives weights of
   * that, as {@link TransformContext.fresh} does. Default that of what it is given.
   */
  rebuilds?(model: ModelSpec): ModelSpec;
  /** Directories of further models that it needs; default none. */
  reads?(options: Options): readonly string[];
  /** The options of an attacker who knows this of the lock; undefined where it says nothing that this transform could use. */
  learn?(knowledge: LockKnowledge): Options | undefined;
  /** Optimizer steps that it takes of a trial of so many, at most; default none. */
  steps?(options: Options, stepsOfTrial: number): number;
  /** Why it can do nothing to these weights, in words that follow its name; undefined where it can. Default: it can. */
  applies?(start: StartFacts, options: Options): string | undefined;
  /** What of the options has no effect on these weights, one sentence; default nothing. */
  unused?(start: StartFacts, options: Options): string | undefined;
  /** Values of its options that a search chooses from where they are not given, the default first; default none. */
  searched?(start: StartFacts): Readonly<Record<string, readonly (number | string)[]>>;
  /** What its options ask for that an attacker does not have, in words that follow "expected"; default nothing. */
  lacks?(options: Options, attacker: AttackerFacts): string | undefined;
  /** New weights. */
  apply(
    context: TransformContext,
    options: Options,
  ): ReadonlyMap<string, Weight> | Promise<ReadonlyMap<string, Weight>>;
}

/** A shorter form of a transform's options for the command line. */
export interface TransformOffer<Options> {
  /** Schema of the one value, which may be left out, with a description. */
  readonly schema: z.ZodType;
  /** The options that a value, or none, stands for; undefined: the transform is not used. */
  read(value: unknown): Options | undefined;
}

/** A transform with its options, as plain data that can be sent to another process. */
export interface TransformStep {
  /** Name in the registry of transforms. */
  readonly name: string;
  /** Options; what is left out takes its default. */
  readonly options: Readonly<Record<string, unknown>>;
}
