import type { DataSpec, Dataset } from '../data/index.js';
import { weightlockVersion } from '../evidence/index.js';
import type { CardMetric, ModelCard } from '../models/index.js';
import { preprocessingDifferences } from '../models/index.js';
import type { LockJobResult } from './jobs/lock.js';
import type { UtilityChange } from './utility.js';

/** Keys of a data spec that say how images are prepared: the card holds them as what was done, not as what was asked. */
const preparation = new Set(['size', 'interpolation', 'channels', 'mean', 'std']);
/** Keys that training alone has, and the path, which is this machine's. */
const leftOut = new Set(['path', 'crop', 'flip', 'limit', 'testLimit']);

/** What a model's card says of the data that it was trained or locked on. */
export function cardOfData(train: Dataset, spec?: DataSpec): ModelCard {
  const options = Object.fromEntries(
    Object.entries(spec ?? {}).filter(
      ([key, value]) => value !== undefined && !preparation.has(key) && !leftOut.has(key),
    ),
  );
  return {
    classes: train.classes,
    preprocessing: train.preprocessing,
    data: { title: train.name, options, trainExamples: train.size },
    version: weightlockVersion(),
  };
}

/** What a card says of how good a model is, where it was measured. */
const measured = ['accuracy', 'loss', 'ece', 'agreement', 'kl', 'notFinite'] as const;

/** What {@link cardMetrics} takes: an evaluation, or a utility with more; null where nothing could be measured. */
export type Measured = { readonly n: number } & { readonly [Name in (typeof measured)[number]]?: number | null };

/** The lines of a card on how good a model is, `before` its lock too. */
export function cardMetrics(of: string, after: Measured, before?: Measured): CardMetric[] {
  return measured
    .filter((name) => after[name] !== undefined)
    .map((name) => ({
      name,
      value: after[name] ?? Number.NaN,
      ...(before && { before: before[name] ?? Number.NaN }),
      of,
      n: after.n,
    }));
}

/** The lines of a card on what a lock costs, in each type that users compute in: `accuracy in float16`. */
export function cardUtility(of: string, { before, after }: UtilityChange): CardMetric[] {
  return (['float32', 'float16', 'bfloat16'] as const).flatMap((type) =>
    cardMetrics(of, after[type], before[type]).map((metric) =>
      type === 'float32' ? metric : { ...metric, name: `${metric.name} in ${type}` },
    ),
  );
}

/** What a card says of a lock. */
export function cardLock(method: string, options: unknown, { steps, spectra }: LockJobResult): ModelCard['lock'] {
  return {
    method,
    options: options as Record<string, unknown>,
    steps,
    sigma: spectra.map(({ name, before, after }) => ({ name, before: before[0], after: after[0] })),
  };
}

/**
 * Where examples are not what a model's card says it was made for, one sentence each: other classes or another order of
 * them, another mean, deviation or way to resize. Height, width and channels are not compared: a model refuses others.
 *
 * @param options - `modelClasses`: how many the model has. `authorized`: whether the examples are of the task that the
 * model is for, so that its classes must be theirs; default true.
 */
export function cardDisagreements(
  card: ModelCard,
  dataset: Dataset,
  { modelClasses, authorized = true }: { modelClasses: number; authorized?: boolean },
): string[] {
  const found: string[] = [];
  if (authorized) found.push(...classDisagreement(card.classes, dataset.classes, modelClasses));
  if (card.preprocessing && dataset.preprocessing) {
    const differences = preprocessingDifferences(card.preprocessing, dataset.preprocessing);
    if (differences.length > 0) found.push(`the model's card says otherwise: ${differences.join('; ')}`);
  }
  return found;
}

function classDisagreement(
  own: readonly string[] | undefined,
  given: readonly string[],
  modelClasses: number,
): string[] {
  if (!own) {
    if (given.length === modelClasses) return [];
    return [`the model has ${modelClasses} classes without names, the data ${given.length}: ${listNames(given)}`];
  }
  if (given.every((name, label) => name === own[label])) return [];
  const sameNames = given.every((name) => own.includes(name));
  const what = sameNames ? 'the classes of the data are in another order' : 'the classes of the data are others';
  return [`${what} than the model's: ${listNames(given)}; the model's are ${listNames(own)}`];
}

/** The first names of a list. */
export function listNames(names: readonly string[], most = 12): string {
  const shown = names.slice(0, most).map((name) => (name.length > 40 ? `${name.slice(0, 39)}…` : name));
  return `${shown.join(', ')}${names.length > most ? `, and ${names.length - most} more` : ''}`;
}
