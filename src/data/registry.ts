import { z } from 'zod';
import { Registry } from '../models/index.js';
import { type Dataset, selectClasses, splitTrainTest } from './dataset.js';
import { loadDigits } from './digits.js';

/** A labelled data set that weightlock can load: an entry of the registry. */
export interface DataSource {
  /** Name on the command line. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** Loads all examples. */
  load(): Promise<Dataset>;
}

/** All data sets by name. */
export const dataSources = new Registry<DataSource>('data set', [
  { name: 'digits', description: '10,000 real MNIST digits, 28×28 grey, from the mnist package', load: loadDigits },
]);

/** Which examples of which data set: plain data, so that it can be sent to another process. */
export const dataSpec = z.strictObject({
  name: z
    .enum(dataSources.names() as [string, ...string[]])
    .default('digits')
    .describe('data set'),
  classes: z.array(z.int().min(0)).default([]).describe('classes to use, renumbered from 0 in this order; default all'),
  testShare: z.number().min(0.01).max(0.9).default(0.2).describe('share of the examples that is kept for testing'),
  splitSeed: z.int().min(0).default(1).describe('seed of the split into training and test examples'),
});

/** A parsed {@link dataSpec}. */
export type DataSpec = z.output<typeof dataSpec>;

/**
 * Loads a data set, splits it into training and test examples that share none, and keeps the wanted classes.
 *
 * @throws InputError when a class does not exist.
 */
export async function loadData({
  name,
  classes,
  testShare,
  splitSeed,
}: DataSpec): Promise<{ train: Dataset; test: Dataset }> {
  const { train, test } = splitTrainTest(await dataSources.get(name).load(), testShare, splitSeed);
  if (classes.length === 0) return { train, test };
  const suffix = `classes ${classes.join(', ')}`;
  return {
    train: selectClasses(train, classes, `${train.name}, ${suffix}`),
    test: selectClasses(test, classes, `${test.name}, ${suffix}`),
  };
}
