import { join } from 'node:path';
import type { z } from 'zod';
import { type AttackRow, attackersAdvantage, measuredTrials, type Trial } from '../../attacks/index.js';
import { type DataSpec, dataSpec } from '../../data/index.js';
import { readJsonFile, writeFileAtomic } from '../../formats/index.js';
import { type SpecDefOptions, specDefOptions } from '../../locks/index.js';
import { PlannedRunner, Runner } from '../run/index.js';
import type { ReproductionContext, ReproductionResult, ResultAttack, ResultCell } from './reproduction.js';

/** What trains, locks and attacks the models of an experiment, or plans it. */
export function runnerOf({ plan, engine, workers, seed, ...context }: ReproductionContext): Runner {
  const spec = { engine, workers, seed, secret: 'seed' };
  return plan ? new PlannedRunner(spec, context, plan) : new Runner(spec, context);
}

/** Which examples of a data set in the experiment's folder; the split is by the run's seed. */
export function examplesOf(
  { data, seed }: ReproductionContext,
  name: string,
  options: z.input<typeof dataSpec>,
): DataSpec {
  return dataSpec.parse({ name, path: join(data, name), splitSeed: seed, ...options });
}

/** Examples that are enough for what is left of a task, which each reported run measures twice. */
const judgedTests = 300;

/** The examples of an authorized task that what attacks leave of it is measured on. */
export function judgedExamples(authorized: DataSpec): DataSpec {
  return { ...authorized, testLimit: Math.min(authorized.testLimit ?? judgedTests, judgedTests) };
}

/** What runs at one setting end with, as the paper reports it, and not the best on the way. */
export interface Ended {
  /** One number a seed; a run that diverged has no model any more and counts as guessing. */
  readonly scores: readonly number[];
  /** How many diverged. */
  readonly diverged: number;
}

/**
 * How the runs of plain fine-tuning from one start ended.
 *
 * @param guessing - The score of a run that diverged: what was measured last is of the weights before that.
 */
export function endings(rows: readonly AttackRow[], start: string, guessing: number): Ended {
  const trials = plainTrials(rows, start);
  return {
    scores: trials.map(({ curve, end }) => (end === 'diverged' ? guessing : curve[curve.length - 1].score)),
    diverged: countDiverged(trials),
  };
}

/** The reported trials of plain fine-tuning from one start that were measured. */
export function plainTrials(rows: readonly AttackRow[], start: string): Trial[] {
  return rows.filter((row) => row.start === start && row.plain).flatMap(({ result }) => measuredTrials(result.trials));
}

/** How many of some runs diverged. */
export function countDiverged(trials: readonly Pick<Trial, 'end'>[]): number {
  return trials.filter(({ end }) => end === 'diverged').length;
}

/** Runs that ended, as a cell of a table. */
export function cellOf({ scores, diverged }: Ended, paper?: number): ResultCell {
  return { paper, ours: scores, ...(diverged > 0 && { diverged }) };
}

/** What a page says of the draws of its locks. */
export function drawsSentence(draws = 1): string {
  return draws > 1
    ? `${draws} draws of each lock (seeds of its shuffles); each attack takes one by its own seed, so that intervals cover locks.`
    : "One draw of each lock: intervals are over the attacks' seeds alone, and say nothing of another draw.";
}

/** What a page says of the controls of its locks. */
export const shamsSentence = "Sham locks, as many: all of the lock's training without its push on singular values.";

/** SpecDef as the paper prints it, without a leading stage and without a utility budget. */
export function printedSpecDef(options: Partial<SpecDefOptions>): SpecDefOptions {
  return specDefOptions.parse({
    lead: { share: 0 },
    topK: 1,
    alpha: 0.5,
    retain: { task: 1, kl: 0 },
    utilityFloor: 0,
    maxKl: null,
    evaluateEvery: 100_000,
    ...options,
  });
}

/** The rows of one unauthorized task with what they say of the attacker's advantage. */
export function assessed(
  facts: Pick<ResultAttack, 'task' | 'metric' | 'target' | 'guessing'>,
  rows: readonly AttackRow[],
) {
  return { ...facts, rows, cost: attackersAdvantage(rows, 'cost'), score: attackersAdvantage(rows, 'score') };
}

/** What an experiment returns where it is only planned. */
export function nothingFound(facts: Pick<ReproductionResult, 'name' | 'title' | 'scale'>): ReproductionResult {
  return { ...facts, setup: [], tables: [], utility: {}, attacks: [], claims: [], seconds: {} };
}

/** What an interrupted run has kept under a name, or what is measured now, and kept. */
export async function kept<Cell>(
  { folder }: Pick<ReproductionContext, 'folder'>,
  name: string,
  measure: () => Promise<Cell>,
): Promise<Cell> {
  const file = folder.file(`cell-${name}.json`);
  try {
    return (await readJsonFile(file)) as Cell;
  } catch {
    // Not there, or not whole: it is measured.
  }
  const cell = await measure();
  await writeFileAtomic(file, JSON.stringify(cell));
  return cell;
}
