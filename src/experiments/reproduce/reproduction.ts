import type { Advantage, AttackRow } from '../../attacks/index.js';
import type { EngineOptions } from '../../engine/index.js';
import type { RunFolder } from '../../evidence/index.js';
import { WeightlockError } from '../../registry/index.js';
import type { PhaseProgress } from '../progress.js';
import type { ModelKind } from '../recommend/model-kind.js';
import type { Plan } from '../run/index.js';
import type { UtilityChange } from '../utility.js';

/**
 * How much of an experiment is computed: a minute for a check, at most two hours on two cores, at most eight (what the paper
 * did, at the best rate of a shorter search, over three draws of each lock), or what the paper did, with whole searches; of what
 * is not in the paper, all that there is.
 */
export const scales = ['smoke', 'small', 'medium', 'paper', 'full'] as const;

/** One of {@link scales}. */
export type Scale = (typeof scales)[number];

/** What is computed beside the cells of the paper: a search of learning rates and all attacks, or nothing. */
export const sweeps = ['full', 'none'] as const;

/** One of {@link sweeps}. */
export type Sweep = (typeof sweeps)[number];

/** One number of the paper and what stands in its place here, 0 to 1. */
export interface ResultCell {
  /** The paper's number, or that of the table's reference; none where it has none. */
  readonly paper?: number;
  /** Ours, one a seed; several give an interval. */
  readonly ours: readonly number[];
  /** How many of ours are of runs that diverged; default none. */
  readonly diverged?: number;
}

/** A table in the paper's layout. */
export interface ResultTable {
  /** What it shows. */
  readonly title: string;
  /** Whose numbers stand beside ours; default the paper's. */
  readonly reference?: string;
  /** Headings of the numbers. */
  readonly columns: readonly string[];
  /** What the columns are, where they are learning rates: the lines are then drawn over them. */
  readonly rates?: {
    /** Names its picture. */
    readonly name: string;
    /** One a column. */
    readonly values: readonly number[];
    /** What the numbers are, in words. */
    readonly metric: string;
    /** Score of guessing. */
    readonly guessing: number;
  };
  /** Labelled lines, one cell a column. */
  readonly rows: readonly { readonly label: string; readonly cells: readonly ResultCell[] }[];
}

/** A point of a line: what was measured at one place, one number a seed. */
export interface ResultPoint {
  /** Place on the horizontal axis, above 0. */
  readonly x: number;
  /** What was measured, above 0; none where nothing was. */
  readonly values: readonly number[];
  /** How many further seeds ended at their budget without a number. */
  readonly missed?: number;
}

/** Lines over two logarithmic axes, in one panel or several. */
export interface ResultSeries {
  /** What it shows. */
  readonly title: string;
  /** Names its picture's file. */
  readonly name: string;
  /** What the horizontal axis is. */
  readonly x: string;
  /** What the vertical axis is. */
  readonly y: string;
  /** A value that the vertical axis marks, such as a ratio of 1. */
  readonly mark?: number;
  /** Lines; those of `theory` are drawn dashed and have no points. */
  readonly lines: readonly {
    readonly label: string;
    readonly panel?: string;
    readonly theory?: boolean;
    readonly points: readonly ResultPoint[];
  }[];
}

/** One thing that was foreseen, and what it came to. */
export interface ResultPair {
  /** The panel that it belongs to. */
  readonly panel: string;
  /** What kind of model it is of: its colour. */
  readonly label: string;
  /** How the model came to be: its shape. */
  readonly form: string;
  /** What was foreseen, above 0; null: nothing within the budget. */
  readonly predicted: number | null;
  /** What was measured, above 0; null: not within the budget. */
  readonly measured: number | null;
}

/** What was foreseen against what was measured, over two logarithmic axes. */
export interface ResultScatter {
  /** What it shows. */
  readonly title: string;
  /** Names its picture's file. */
  readonly name: string;
  /** What is foreseen and measured. */
  readonly quantity: string;
  /** Factor either way within which a forecast counts as right. */
  readonly within: number;
  /** All of them, of one panel or several. */
  readonly pairs: readonly ResultPair[];
}

/** What the best attack from a starting point reaches. */
export interface AttackReach {
  /** The attack, in words. */
  readonly attack: string;
  /** The score, 0 to 1, or the steps to the target; a mean over seeds. */
  readonly value: number;
  /** Whether some runs ended at their budget before the target, and were counted there: it takes more; default no. */
  readonly ranOut?: boolean;
  /** Floating-point operations of one run, to the target where it is steps that are counted; none where they were not counted. */
  readonly flops?: number;
}

/** What an attack leaves of an attacker's advantage. */
export interface LeftByAttack {
  /** 1: the lock does nothing; 0: the locked weights are worth no more than none. */
  readonly ratio: number;
  /** Lower bound over seeds; none where the unlocked model cannot be told from the floor, so that nothing is measured. */
  readonly low?: number;
  /** Upper bound, likewise. */
  readonly high?: number;
  /** Whether runs on the locked model ran out of budget: the true value is then lower. */
  readonly isUpperBound?: boolean;
  /** Whether the true value is higher, since budgets of the floor or the unlocked model ran out; default no. */
  readonly isLowerBound?: boolean;
}

/** What is left of it by the best attack that the searches chose. */
export interface AdvantageLeft extends LeftByAttack {
  /** The three that it was computed from; not in results of versions before 0.3. */
  readonly reached?: {
    /** The best attack on the locked model. */
    readonly locked: AttackReach;
    /** The best attack on the unlocked model. */
    readonly unlocked: AttackReach;
    /** The best of what needs no weights: with the outputs of the locked model, so that it is another one for each lock. */
    readonly floor: AttackReach;
  };
  /** The attack on the locked model that gained more with the reported seeds than the one that the searches chose, if one did. */
  readonly overlooked?: OverlookedLeft;
}

/** What an attack leaves that was chosen by the numbers it is reported with, so that chance is on its side. */
export interface OverlookedLeft extends LeftByAttack {
  /** What it reaches. */
  readonly reached: AttackReach;
}

/** One lock of one model, judged from both sides. */
export interface FrontierPoint {
  /** What tables call the model. */
  readonly model: string;
  /** The lock, or the control. */
  readonly method: string;
  /** What kind of model it is; of results older than the field not known. */
  readonly kind?: ModelKind;
  /** Options of the method that are not its defaults; of results older than the field not known. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** What kind of lock it is, by what undoes it; none: a control. */
  readonly class?: string;
  /** Of a control: the locks whose training it is, without the lock; of results older than the field not known. */
  readonly controls?: readonly string[];
  /** How many draws diverged, of which there is no model: nothing else is of them; default none. */
  readonly diverged?: number;
  /** What the score on the authorized task lost, 0 to 1, one a draw of the lock. */
  readonly lost: readonly number[];
  /**
   * What the area under the ROC curve lost, 0 to 1, one a draw: it varies less from draw to draw than accuracy. None of a task of more
   * than two classes.
   */
  readonly areaLost?: readonly number[];
  /** KL divergence to the original, nats, one a draw; none of a task that has none. */
  readonly kl: readonly number[];
  /** What is left of the advantage in score. */
  readonly score?: AdvantageLeft;
  /** What is left of it in steps to the target. */
  readonly cost?: AdvantageLeft;
  /** The best attack on the locked model, in words. */
  readonly attack: string;
  /** Floating-point operations of one draw; none where they were not counted. */
  readonly flops?: number;
  /** Seconds of one draw. */
  readonly seconds: number;
}

/** Locks and models beside one another. */
export interface ResultFrontier {
  /** What it shows. */
  readonly title: string;
  /** Names its picture's file. */
  readonly name: string;
  /** All that were measured. */
  readonly points: readonly FrontierPoint[];
}

/** The searches on one unauthorized task. */
export interface ResultAttack {
  /** The unauthorized task. */
  readonly task: string;
  /** What the score is, in words. */
  readonly metric: string;
  /** Score to which the cost is counted. */
  readonly target: number;
  /** Score of guessing. */
  readonly guessing: number;
  /** All searches. */
  readonly rows: readonly AttackRow[];
  /** Advantage in steps to the target. */
  readonly cost?: Advantage;
  /** Advantage in score. */
  readonly score?: Advantage;
}

/** Something that the paper, or this project, says of an experiment, and whether these numbers bear it out. */
export interface Claim {
  /** What is claimed. */
  readonly text: string;
  /** Who claims it, and where. */
  readonly source: string;
  /** Whether it holds; `unmeasured` where its premise fails, so that nothing can be said. */
  readonly verdict: 'holds' | 'fails' | 'unmeasured';
  /** The numbers that decided. */
  readonly finding: string;
}

/** What an experiment sets for one of its scales. */
export function settingsOf<Settings>(of: SettingsByScale<Settings>, scale: Scale): Settings {
  const found = of[scale];
  if (!found) throw new WeightlockError(`reproduce: expected one of ${Object.keys(of).join(', ')}, found ${scale}`);
  return found;
}

/** What an experiment sets, for each of its scales. */
export type SettingsByScale<Settings> = Readonly<Partial<Record<Scale, Settings>>>;

/** The scales of which an experiment has settings. */
export function scalesOf(settings: SettingsByScale<unknown>): Scale[] {
  return scales.filter((scale) => settings[scale] !== undefined);
}

/** What an experiment found. */
export interface ReproductionResult {
  /** Name of the experiment. */
  readonly name: string;
  /** What it stands for in the paper. */
  readonly title: string;
  /** How much was computed. */
  readonly scale: Scale;
  /** What was done, in plain sentences. */
  readonly setup: readonly string[];
  /** Tables in the paper's layout. */
  readonly tables: readonly ResultTable[];
  /** Lines beside the tables; none in results of versions before 0.3. */
  readonly series?: readonly ResultSeries[];
  /** Forecasts beside what was measured; of experiments that make some. */
  readonly scatters?: readonly ResultScatter[];
  /** Locks beside one another; of the experiment that compares them. */
  readonly frontier?: ResultFrontier;
  /** What each lock costs the authorized task, by the name of the model. */
  readonly utility: Readonly<Record<string, UtilityChange>>;
  /** Searches, one entry an unauthorized task. */
  readonly attacks: readonly ResultAttack[];
  /** Claims and verdicts. */
  readonly claims: readonly Claim[];
  /** What the attacks left out because it could do nothing, one sentence each; not in results of versions before 0.2. */
  readonly notes?: readonly string[];
  /** Seconds of each part that was computed. */
  readonly seconds: Readonly<Record<string, number>>;
}

/** What an experiment works with. */
export interface ReproductionContext {
  /** The run folder. */
  readonly folder: RunFolder;
  /** Threads and device. */
  readonly engine: EngineOptions;
  /** Processes that search side by side. */
  readonly workers: number;
  /** Ends the work after the current step, resumable. */
  readonly signal: AbortSignal;
  /** Shows how far it has come. */
  readonly progress: PhaseProgress;
  /** Folder that holds the data sets, one subfolder each. */
  readonly data: string;
  /** Seed of the split, the weights and all shuffles. */
  readonly seed: number;
  /** Where it is only noted what would be done, and nothing is computed; none where it is done. */
  readonly plan?: Plan;
  /** Whether anything is searched beside the cells of the paper; of an experiment that can leave it out. */
  readonly sweep: Sweep;
  /** The models that were chosen, of an experiment that has a choice; default those of the scale. */
  readonly models?: readonly string[];
  /** The lock methods that were chosen, of an experiment that has a choice; default those of the scale. */
  readonly locks?: readonly string[];
}

/** An experiment: an entry of the registry. */
export interface Reproduction {
  /** Name on the command line. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** Folders that it reads, within the folder of the data sets. */
  readonly data: readonly string[];
  /** Its scales. */
  readonly scales: readonly Scale[];
  /** Whether it can leave out everything but the cells of the paper (`--sweep none`). */
  readonly canSkipSweep: boolean;
  /** Models among which can be chosen, each with the folders that it reads; none where there is no choice. */
  readonly models?: Readonly<Record<string, readonly string[]>>;
  /** Lock methods among which can be chosen; none where there is no choice. */
  readonly locks?: readonly string[];
  /**
   * Looks at a choice before anything is read, where scales offer different ones.
   *
   * @throws InputError for what the scale has not.
   */
  requireChoice?(scale: Scale, choice: Pick<ReproductionContext, 'models' | 'locks'>): void;
  /** Runs it; what was finished before an interruption is not done again. */
  run(scale: Scale, context: ReproductionContext): Promise<ReproductionResult>;
}
