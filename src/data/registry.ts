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
  validationShare: z
    .number()
    .min(0.01)
    .max(0.9)
    .default(0.15)
    .describe('share of the other examples that neither training nor lock is trained on, to stop them by'),
  splitSeed: z.int().min(0).default(1).describe('seed of the split into training, validation and test examples'),
});

/** A parsed {@link dataSpec}. */
export type DataSpec = z.output<typeof dataSpec>;

/** Three parts of a data set that share no example. */
export interface DataParts {
  /** To train on. */
  readonly train: Dataset;
  /** To choose by: early stop, and the utility floor of a lock. A model trained on it would flatter itself there. */
  readonly validation: Dataset;
  /** To report on. */
  readonly test: Dataset;
}

/**
 * Loads a data set, splits it into training, validation and test examples, and keeps the wanted classes. The same spec
 * gives the same parts, so a lock never meets validation examples that the model was trained on with that spec.
 *
 * @throws InputError when a class does not exist.
 */
export async function loadData({ name, classes, testShare, validationShare, splitSeed }: DataSpec): Promise<DataParts> {
  const all = splitTrainTest(await dataSources.get(name).load(), testShare, splitSeed);
  const rest = splitTrainTest(all.train, validationShare, splitSeed);
  const part = (dataset: Dataset, label: string): Dataset => {
    const named = { ...dataset, name: `${name} ${label}` };
    if (classes.length === 0) return named;
    return selectClasses(named, classes, `${named.name}, classes ${classes.join(', ')}`);
  };
  return { train: part(rest.train, 'train'), validation: part(rest.test, 'validation'), test: part(all.test, 'test') };
}
