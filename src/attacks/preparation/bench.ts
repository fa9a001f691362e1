import { type Dataset, withoutAnswers } from '../../data/index.js';
import type { ProgramCache } from '../../engine/index.js';
import type { ModelSpec, StateDict } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import type { Task } from '../../tasks/index.js';
import type { Evaluator } from '../../training/index.js';

/** A model that can be run. */
export interface Runnable {
  /** Architecture and configuration. */
  readonly model: ModelSpec;
  /** Measures it, with any weights. */
  readonly evaluator: Evaluator;
  /** Its compiled programs. */
  readonly programs: ProgramCache;
}

/** What an attacker has at hand to work on weights before the trial begins: the models, and examples. */
export interface Bench {
  /** The model as it is released, with its own head, which the attacker's task may not have. */
  readonly released: Runnable & { readonly weights: StateDict };
  /** The model that is attacked. */
  readonly attacked: Runnable;
  /** Labelled examples of the unauthorized task that the attacker has in this trial. */
  readonly own: Dataset;
  /** Examples like those of the authorized task; none where the attacker has none. */
  readonly retain?: Dataset;
  /** Examples without labels, or whose labels are left aside; none where the attacker has none. */
  readonly unlabelled?: Dataset;
  /** Directory of the model whose tokenizer reads the examples; none where they are no texts. */
  readonly tokenizer?: string;
  /** Steps of a trial, which all that is done before it is a part of. */
  readonly steps: number;
  /** Examples a step. */
  readonly batchSize: number;
  /** Ends the work after the current step. */
  readonly signal?: AbortSignal;
}

/** The largest of some data sets that the released model can be asked about, of equal ones the first, which is one in any case. */
export function mostExamples(
  { released }: Bench,
  first: Dataset,
  ...others: readonly (Dataset | undefined)[]
): Dataset {
  const { task } = released.evaluator;
  const isLarger = (each: Dataset | undefined, most: Dataset): each is Dataset =>
    each !== undefined && each.size > most.size && canBeAsked(task, released.model, each);
  return others.reduce<Dataset>((most, each) => (isLarger(each, most) ? each : most), first);
}

function canBeAsked(task: Task, model: ModelSpec, examples: Dataset): boolean {
  try {
    task.requireFit(model, withoutAnswers(examples));
    return true;
  } catch (error) {
    if (error instanceof InputError) return false;
    throw error;
  }
}

/** A bench, and what stands for it: equal keys, equal models, examples and budget. */
export interface KeyedBench {
  /** Stands for it, but for the seed. */
  readonly key: string;
  /** That of a trial, by its seed. */
  of(seed: number): Promise<Bench>;
}
