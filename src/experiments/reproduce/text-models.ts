import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import { type DataParts, type DataSpec, dataSpec, loadData } from '../../data/index.js';
import { specDefOptions } from '../../locks/index.js';
import { loadModel, type Model } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { taskOf } from '../../tasks/index.js';
import { trainOptions } from '../jobs/train.js';
import type { Runner } from '../run/index.js';
import { drawLocks, drawShams } from './drawn-locks.js';
import type { ReproductionContext } from './reproduction.js';

/** A language model of the data folder that is locked and attacked. */
export interface TextModel {
  /** What tables call it. */
  readonly label: string;
  /** Its folder below the data folder's `models`. */
  readonly folder: string;
}

/**
 * Those whose folder is there.
 *
 * @throws InputError for one that was chosen and is not.
 */
export function presentModels(
  { data, models: chosen }: ReproductionContext,
  models: readonly TextModel[],
): TextModel[] {
  return models.filter(({ folder }) => {
    const place = join('models', folder);
    if (existsSync(join(data, place))) return true;
    if (chosen?.includes(folder)) throw new InputError(`--models: expected ${place} in ${data}, found none`);
    return false;
  });
}

/** Texts of a data set in the experiment's folder, as a model reads them. */
export function textsOf(
  { data, seed }: ReproductionContext,
  { folder }: TextModel,
  name: string,
  options: z.input<typeof dataSpec>,
): DataSpec {
  const path = join(data, name);
  return dataSpec.parse({
    path,
    splitSeed: seed,
    tokenizer: join(data, 'models', folder),
    ...options,
  });
}

/** How a model is made good at its task, and locked. */
export interface TextCourse {
  /** Epochs of training before the lock; 0: it is good at its task already. */
  readonly trainEpochs: number;
  /** Epochs of the lock. */
  readonly lockEpochs: number;
  /** Learning rate of the lock. */
  readonly lockRate: number;
  /** Weight of the retain loss. */
  readonly alpha: number;
  /** Singular values of each matrix that are raised. */
  readonly topK: number;
  /** Draws of the lock; default 1. */
  readonly draws?: number;
  /** Whether there are sham locks, the control, as many as draws; default false. */
  readonly withSham?: boolean;
}

/** The paper's optimizer for texts: AdamW with weight decay 0.01, falling linearly to 0 without warm-up, batches of 8. */
export const textOptimizer = { name: 'adamw', options: { weightDecay: 0.01 }, schedule: { name: 'linear' } } as const;
export const textBatch = 8;
export const textRate = 5e-5;

const course = { optimizer: 'adamw', schedule: 'linear', adamw: { weightDecay: 0.01 }, batchSize: textBatch };

/** A model of the data folder as it is, on disk. */
export function releasedAsIs(runner: Runner, { data }: ReproductionContext, { folder }: TextModel) {
  return runner.adopt({ name: `${folder}-as-it-is` }, join(data, 'models', folder));
}

/** A model with a classifier for a task, trained on it, on disk; without epochs as it is, good at the task already. */
export async function trainedClassifier(
  runner: Runner,
  context: ReproductionContext,
  model: TextModel,
  spec: DataSpec,
  epochs: number,
) {
  const parts = await loadData(spec);
  const data = { ...parts, spec };
  const folder = join(context.data, 'models', model.folder);
  const part = { name: `${model.folder}-unlocked` };
  const options = { ...course, epochs: epochs || 1, learningRate: textRate, evaluateEvery: 100_000 };
  const made =
    epochs === 0
      ? await runner.adopt(part, folder)
      : await runner.train(part, {
          from: () => withClassifier(context, model, parts),
          data,
          options: trainOptions.parse(options),
        });
  return { made, data };
}

/** A model with a classifier for a task, trained on it and locked on it, once or in several draws; all on disk. */
export async function lockedClassifier(
  runner: Runner,
  context: ReproductionContext,
  model: TextModel,
  spec: DataSpec,
  { trainEpochs, lockEpochs, lockRate, alpha, topK, draws, withSham }: TextCourse,
) {
  const { made: unlocked, data } = await trainedClassifier(runner, context, model, spec, trainEpochs);
  const options = specDefOptions.parse({
    ...course,
    epochs: lockEpochs,
    learningRate: lockRate,
    alpha,
    topK,
    lead: { share: 0 },
    // As printed: the task's loss and KL to the original, and no budget that would end it.
    retain: { task: 1, kl: 1 },
    utilityFloor: 0,
    maxKl: null,
    evaluateEvery: 100_000,
  });
  const lock = { name: `${model.folder}-locked`, data, test: data.test, options };
  const locked = await drawLocks(runner, unlocked, lock, draws);
  const control = { name: `${model.folder}-sham-locked`, data, options };
  const sham = withSham ? await drawShams(runner, unlocked, control, draws) : undefined;
  return {
    ...locked,
    paths: { ...locked.paths, ...sham?.paths },
    shams: sham?.shams ?? [],
    unlocked: unlocked.model,
    parts: data,
  };
}

/** A model of the data folder with a new classifier for the classes of a task. */
async function withClassifier(
  { data, seed }: ReproductionContext,
  { folder }: TextModel,
  { train }: DataParts,
): Promise<Model> {
  const head = { kind: 'classifier', labels: train.classes };
  const model = await loadModel(join(data, 'models', folder), { head, seed });
  taskOf(model).requireFit(model, train);
  return model;
}
