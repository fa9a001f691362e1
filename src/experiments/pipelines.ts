import { type Advantage, type AttackRow, type AttackTargets, attackersAdvantage } from '../attacks/index.js';
import { type DataSpec, type Dataset, loadData } from '../data/index.js';
import type { EngineOptions } from '../engine/index.js';
import { type RunFolder, saveOutput, weightlockVersion } from '../evidence/index.js';
import { lockMethods } from '../locks/index.js';
import {
  cloneWeights,
  loadModel,
  type Model,
  type ModelCard,
  parameterSet,
  readModelCard,
  writeModelCard,
} from '../models/index.js';
import { type Evaluation, scoreTitle, type Task, taskOf } from '../tasks/index.js';
import { Evaluator } from '../training/index.js';
import { cardLock, cardMetrics, cardOfData, cardUtility } from './card-of-data.js';
import { attackJob } from './jobs/attack.js';
import { type AttackOptions, attackPlan } from './jobs/attack-options.js';
import { type LockJobResult, lockJob } from './jobs/lock.js';
import { type TrainOptions, type TrainResult, trainJob, trainSteps } from './jobs/train.js';
import type { PhaseProgress } from './progress.js';
import { type UtilityChange, utilityChange, utilityWarnings } from './utility.js';

/** What a command's work is done with. */
export interface PipelineContext {
  /** The run folder. */
  readonly folder: RunFolder;
  /** Threads and device. */
  readonly engine: EngineOptions;
  /** Ends the work after the current step, resumable. */
  readonly signal: AbortSignal;
  /** Shows how far it has come. */
  readonly progress: PhaseProgress;
}

/** A trained model's result. */
export interface TrainedModel extends TrainResult {
  /** Evaluation on the test examples. */
  readonly test: Evaluation;
}

/** Trains a model on a data set and writes its model directory. */
export async function trainModel(
  { model, data, output, seed, force }: { model: Model; data: DataSpec; output: string; seed: number; force: boolean },
  options: TrainOptions,
  { folder, engine, signal, progress }: PipelineContext,
): Promise<TrainedModel> {
  const { train, validation, test } = await loadData(data);
  taskOf(model).requireFit(model, train);
  progress.begin('train', trainSteps(options, train));
  const result = await trainJob({ model, train, validation, seed }, options, {
    folder,
    phase: 'train',
    engine,
    signal,
    onStep: (step, text) => progress.advance(step, text),
  });
  progress.end();
  const evaluation = await evaluateModel(model, test, engine);
  const card = { ...cardOfData(train, data), metrics: cardMetrics(model, test.name, evaluation) };
  await saveOutput(folder.path, output, model, { force, card });
  return { ...result, test: evaluation };
}

/** A locked model's result. */
export interface LockedModel extends LockJobResult {
  /**
   * Utility on the authorized test examples before and after, of the weights as they were written; none where no data were
   * given, which a method may do without.
   */
  readonly test?: UtilityChange;
  /** What the owner must know before publishing it. */
  readonly warnings: readonly string[];
}

/**
 * Locks a model and writes the locked model directory.
 *
 * @param data - The authorized task; a method may do without.
 * @throws InputError when the method needs data and none are given.
 */
export async function lockModel(
  {
    model,
    data,
    output,
    seed,
    force,
    method: name,
  }: { model: Model; data?: DataSpec; output: string; seed: number; force: boolean; method: string },
  options: unknown,
  { folder, engine, signal, progress }: PipelineContext,
): Promise<LockedModel> {
  const method = lockMethods.get(name);
  const parts = data && (await loadData(data));
  if (parts) taskOf(model).requireFit(model, parts.train);
  const original = { ...model, weights: cloneWeights(model.weights) };
  progress.begin('lock', method.steps(options, parts?.train.size ?? 0));
  const result = await lockJob({ model, train: parts?.train, validation: parts?.validation, seed }, method, options, {
    folder,
    phase: 'lock',
    engine,
    signal,
    onStep: (step, text) => progress.advance(step, text),
  });
  progress.end();
  const facts = parts ? cardOfData(parts.train, data) : await cardOfSource(original);
  const card = { ...facts, lock: cardLock(name, options, result) };
  await saveOutput(folder.path, output, model, { force, card });
  if (!parts) return { ...result, warnings: ['The utility of the locked model was not measured: no data were given.'] };
  // Not the weights in memory: what is said of a model must be measured on the file that is published.
  const published = await loadModel(output);
  const change = await utilityChange(original, published.weights, parts.test, engine);
  await writeModelCard(output, model, { ...card, metrics: cardUtility(model, parts.test.name, change) });
  return { ...result, test: change, warnings: utilityWarnings(result, change) };
}

/** What the directory of a model says of it but for what a lock changes: how good it is, and how it was locked before. */
async function cardOfSource(model: Model): Promise<ModelCard> {
  const {
    metrics: _,
    lock: __,
    ...facts
  } = model.source === undefined ? {} : (await readModelCard(model.source, model)).card;
  return { ...facts, version: weightlockVersion() };
}

/** What attacks on a model found. */
export interface AttackedModel {
  /** All searches. */
  readonly rows: readonly AttackRow[];
  /** What the score is, in words. */
  readonly metric: string;
  /** Advantage in cost. */
  readonly cost?: Advantage;
  /** Advantage in score. */
  readonly score?: Advantage;
  /** What was left out because it could do nothing, and which options had no effect: one sentence each. */
  readonly notes: readonly string[];
}

/** Attacks a locked model, the unlocked one and random weights with the same searches. */
export async function attackModel(
  targets: AttackTargets,
  task: Task,
  data: DataSpec,
  options: AttackOptions,
  { folder, engine, signal, progress, workers }: PipelineContext & { workers: number },
): Promise<AttackedModel> {
  const plan = attackPlan(data, options);
  const { rows, notes } = await attackJob(targets, plan, { folder, workers, engine, signal, progress });
  const [cost, score] = [attackersAdvantage(rows, 'cost'), attackersAdvantage(rows, 'score')];
  return { rows, metric: scoreTitle(task), cost, score, notes };
}

/** What a model's task measures on a data set. */
export async function evaluateModel(model: Model, dataset: Dataset, engine: EngineOptions): Promise<Evaluation> {
  const evaluator = new Evaluator(model, engine);
  try {
    return await evaluator.evaluate(parameterSet(model.weights), dataset);
  } finally {
    await evaluator.release();
  }
}

/** Outputs `[size, ...]` of a model on a data set: logits of a classifier. */
export async function predict(model: Model, dataset: Dataset, engine: EngineOptions): Promise<Float32Array> {
  const evaluator = new Evaluator(model, engine);
  try {
    return await evaluator.outputs(parameterSet(model.weights), dataset);
  } finally {
    await evaluator.release();
  }
}
