import type { DataSpec, Dataset, LabelledDataset } from '../data/index.js';
import { weightlockVersion } from '../evidence/index.js';
import {
  type CardMetric,
  type ModelCard,
  type ModelOnDisk,
  type ModelSpec,
  preprocessingDifferences,
  readModelCard,
} from '../models/index.js';
import { type Evaluation, taskOf } from '../tasks/index.js';
import type { LockJobResult } from './jobs/lock.js';
import type { UtilityChange } from './utility.js';

/** Keys of a data spec that say how images are prepared: the card holds them as what was done, not as what was asked. */
const preparation = new Set(['size', 'interpolation', 'channels', 'mean', 'std']);
/** Keys that training alone has, and paths, which are this machine's. */
const leftOut = new Set(['path', 'tokenizer', 'crop', 'flip', 'limit', 'testLimit']);

/** What a model's card says of the data that it was trained or locked on. */
export function cardOfData(train: LabelledDataset, spec?: DataSpec): ModelCard {
  const options = Object.fromEntries(
    Object.entries(spec ?? {}).filter(
      ([key, value]) => value !== undefined && !preparation.has(key) && !leftOut.has(key),
    ),
  );
  const classes = train.examples.tokenClasses?.names ?? train.classes;
  return {
    // Without any, the outputs are no classes: the words of a vocabulary, an embedding.
    ...(classes.length > 0 && { classes }),
    preprocessing: train.preprocessing,
    data: { title: train.name, options, trainExamples: train.size },
    version: weightlockVersion(),
  };
}

/** What the directory of a model says of it but for what a lock changes: how good it is, and how it was locked before. */
export async function cardOfSource(model: ModelOnDisk): Promise<ModelCard> {
  const {
    metrics: _,
    lock: __,
    ...facts
  } = model.source === undefined ? {} : (await readModelCard(model.source, model)).card;
  return { ...facts, version: weightlockVersion() };
}

/** The lines of a card on how good a model is, `before` its lock too: what its task measures of the whole, not of each class. */
export function cardMetrics(model: Pick<ModelSpec, 'head'>, of: string, after: Evaluation, before?: Evaluation) {
  return taskOf(model).metrics.flatMap(({ name, better }): CardMetric[] => {
    const value = after.metrics[name];
    if (value === undefined || better === 'neither') return [];
    const change = before && { before: before.metrics[name] ?? Number.NaN };
    return [{ name, value: value ?? Number.NaN, ...change, of, n: after.n }];
  });
}

/** The lines of a card on what a lock costs, in each type that users compute in: `accuracy in float16`. */
export function cardUtility(
  model: Pick<ModelSpec, 'head'>,
  of: string,
  { before, after }: UtilityChange,
): CardMetric[] {
  return (['float32', 'float16', 'bfloat16'] as const).flatMap((type) =>
    cardMetrics(model, of, after[type], before[type]).map((metric) =>
      type === 'float32' ? metric : { ...metric, name: `${metric.name} in ${type}` },
    ),
  );
}

/** What a card says of a lock. */
export function cardLock(
  method: string,
  options: unknown,
  { steps, spectra, flops }: LockJobResult,
): ModelCard['lock'] {
  return {
    method,
    options: options as Record<string, unknown>,
    steps,
    // What runs no graph, such as a closed form alone, is not counted.
    ...(flops !== undefined && flops > 0 && { flops }),
    sigma: spectra.map(({ name, before, after }) => ({ name, before: before[0], after: after[0] })),
  };
}

/**
 * Where examples are not what a model's card says it was made for, one sentence each: other classes or another order of
 * them, another mean, deviation or way to resize. Height, width and channels are not compared: a model refuses others.
 *
 * @param options - `authorized`: whether the examples are of the task that the model is for; default true.
 */
export function cardDisagreements(
  card: ModelCard,
  model: ModelSpec,
  dataset: Dataset,
  options: { authorized?: boolean } = {},
): string[] {
  const found = taskOf(model).disagreements(card, model, dataset, options);
  if (card.preprocessing && dataset.preprocessing) {
    const differences = preprocessingDifferences(card.preprocessing, dataset.preprocessing);
    if (differences.length > 0) found.push(`the model's card says otherwise: ${differences.join('; ')}`);
  }
  return found;
}
