import { sobolPoints } from '../../linalg/index.js';
import { InputError } from '../../registry/index.js';
import type { OptimizerSpec, ScheduleSpec } from '../../training/index.js';

/** What a search varies in one respect. */
export type Dimension =
  | {
      /** A number, uniform on a logarithmic scale. */
      readonly kind: 'log';
      /** The smallest, above 0. */
      readonly low: number;
      /** The largest. */
      readonly high: number;
    }
  | {
      /** One of some values, each as likely. */
      readonly kind: 'choice';
      /** All of them. */
      readonly values: readonly (number | string)[];
    };

/**
 * What a search varies, by name: `learningRate` (always there), `batchSize`, `accumulate` (so many batches make a step, computed one
 * after the other), `schedule` (its name), options of transforms and trained parts under their name, such as `ema.decay`, and whatever
 * else the options of the optimizer are called, such as `weightDecay`.
 */
export type SearchSpace = Readonly<Record<string, Dimension>>;

/** One value of each dimension but the learning rate, which trials have of their own. */
export type SearchPoint = Readonly<Record<string, number | string>>;

/** What a trial of a search is run with. */
export interface Candidate {
  /** The learning rate. */
  readonly learningRate: number;
  /** All else that the search varies; none where it is the learning rate alone. */
  readonly point?: SearchPoint;
}

/** The value of a dimension at a place from 0 to below 1. */
function valueAt(dimension: Dimension, at: number): number | string {
  if (dimension.kind === 'choice') return dimension.values[Math.floor(at * dimension.values.length)];
  const [low, high] = [Math.log(dimension.low), Math.log(dimension.high)];
  return Math.exp(low + at * (high - low));
}

/**
 * The candidates of a quasirandom search: as many as are asked for, evenly spread over the space, the same for every starting
 * point.
 *
 * @param seed - Of the random shift.
 * @throws InputError for a space without learning rates, or a range or choice of nothing.
 */
export function sobolCandidates(space: SearchSpace, count: number, seed: number): Candidate[] {
  const names = Object.keys(space);
  if (space.learningRate?.kind !== 'log')
    throw new InputError('search: expected a range of learning rates, found none');
  for (const [name, dimension] of Object.entries(space)) {
    if (dimension.kind === 'choice' && dimension.values.length === 0) {
      throw new InputError(`search: expected something to choose of ${name}, found nothing`);
    }
    if (dimension.kind === 'log' && !(dimension.low > 0 && dimension.high >= dimension.low)) {
      throw new InputError(
        `search: expected a range of ${name} above 0, smallest first, found ${dimension.low} to ${dimension.high}`,
      );
    }
  }
  return sobolPoints(count, names.length, { shift: seed }).map((place) => {
    const values = Object.fromEntries(names.map((name, index) => [name, valueAt(space[name], place[index])]));
    const { learningRate, ...point } = values;
    return { learningRate: Number(learningRate), ...(names.length > 1 && { point }) };
  });
}

/**
 * The options of a trial at a point of the space. Steps go on to be counted in batches of the setting, so that all points have the
 * same examples.
 */
export function optionsAt<
  T extends { optimizer: OptimizerSpec & { readonly schedule?: ScheduleSpec }; batchSize: number },
>(setting: T, point: SearchPoint = {}): T {
  const { batchSize = setting.batchSize, accumulate = 1, schedule, ...others } = point;
  const { optimizer } = setting;
  const options = Object.fromEntries(Object.entries(others).filter(([name]) => !name.includes('.')));
  const examples = Number(batchSize) * Number(accumulate);
  return {
    ...setting,
    ...(examples !== setting.batchSize && { batchSize: examples, countedBatch: setting.batchSize }),
    ...(accumulate !== 1 && { accumulate: Number(accumulate) }),
    optimizer: {
      ...optimizer,
      ...(Object.keys(options).length > 0 && { options: { ...optimizer.options, ...options } }),
      ...(schedule !== undefined && { schedule: { name: String(schedule) } }),
    },
  };
}

/** The options of a transform or trained part at a point of the space, where those that are searched stand under its name. */
export function partOptionsAt<Options extends Readonly<Record<string, unknown>>>(
  name: string,
  options: Options,
  point: SearchPoint = {},
): Options {
  const own = Object.entries(point).flatMap(([key, value]) =>
    key.startsWith(`${name}.`) ? [[key.slice(name.length + 1), value]] : [],
  );
  return { ...options, ...Object.fromEntries(own) };
}

/** Stands for what the options of transforms and trained parts are at a point of the space. */
export function keyOfParts(point: SearchPoint = {}): string {
  return JSON.stringify(Object.entries(point).filter(([name]) => name.includes('.')));
}

/** Stands for what a trial is run with: equal keys, equal trials. */
export function keyOf({ learningRate, point, seed }: Candidate & { readonly seed?: number }): string {
  return JSON.stringify([learningRate, point ?? null, seed ?? null]);
}
