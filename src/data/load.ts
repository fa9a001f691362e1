import { z } from 'zod';
import { InputError } from '../formats/index.js';
import type { LabelledImages, Normalization } from './collection.js';
import {
  createDataset,
  type Dataset,
  drawSome,
  type Selection,
  selectAll,
  selectClasses,
  splitTrainTest,
} from './dataset.js';
import { ImageExamples } from './images.js';
import { dataSources } from './registry.js';

/** Which examples of which data set, and how a model sees them: plain data, so that it can be sent to another process. */
export const dataSpec = z.strictObject({
  name: z
    .enum(dataSources.names() as [string, ...string[]])
    .default('digits')
    .describe('data set'),
  path: z.string().min(1).optional().describe('folder of its files; digits need none'),
  classes: z.array(z.int().min(0)).default([]).describe('classes to use, renumbered from 0 in this order; default all'),
  testShare: z
    .number()
    .min(0.01)
    .max(0.9)
    .default(0.2)
    .describe('share of the examples that is kept for testing, where the data set has no test examples of its own'),
  validationShare: z
    .number()
    .min(0)
    .max(0.9)
    .default(0.15)
    .describe(
      'share of the other examples that neither training nor lock is trained on, to stop them by; 0: none, training examples take their place, which flatters',
    ),
  splitSeed: z.int().min(0).default(1).describe('seed of the split into training, validation and test examples'),
  limit: z.int().min(2).optional().describe('training and validation examples to use, drawn by the seed; default all'),
  testLimit: z.int().min(1).optional().describe('test examples to use, drawn by the seed; default all'),
  size: z
    .int()
    .min(1)
    .max(4096)
    .optional()
    .describe("height and width that images are resized to; default the images' own"),
  interpolation: z.enum(['bilinear', 'bicubic']).default('bilinear').describe('how images are resized'),
  channels: z
    .literal([1, 3])
    .optional()
    .describe("channels: grey is repeated, colour made grey; default the images' own"),
  mean: z
    .array(z.number())
    .default([])
    .describe('mean of each channel, of values 0 to 1; default the usual of the data set'),
  std: z
    .array(z.number().positive())
    .default([])
    .describe('deviation of each channel, of values 0 to 1; default the usual of the data set'),
  crop: z
    .int()
    .min(0)
    .max(64)
    .default(0)
    .describe('training images are cut at random from the image with so many zeros on each side; 0: not'),
  flip: z.boolean().default(false).describe('mirror every other training image, by chance'),
});

/** A parsed {@link dataSpec}. */
export type DataSpec = z.output<typeof dataSpec>;

/** Three parts of a data set that share no example, but for `validationShare` 0. */
export interface DataParts {
  /** To train on. */
  readonly train: Dataset;
  /** To choose by: early stop, and the utility floor of a lock. A model trained on it would flatter itself there. */
  readonly validation: Dataset;
  /** To report on. */
  readonly test: Dataset;
}

/**
 * Loads a data set, splits it into training, validation and test examples, keeps the wanted classes and number of
 * examples, and brings the images into the wanted form. Classes, limits and form do not change which part an example
 * belongs to, so a lock never meets validation examples that the model was trained on with the same split.
 *
 * @throws InputError when files are missing or malformed, a class does not exist, or keys do not fit one another.
 * @example
 * const { train, test } = await loadData(dataSpec.parse({ name: 'cifar10', path: 'data/cifar10', crop: 4, flip: true }));
 */
export async function loadData(spec: DataSpec): Promise<DataParts> {
  const { name, path, validationShare, splitSeed, limit } = spec;
  const source = dataSources.get(name);
  if (source.needsPath && path === undefined) {
    throw new InputError(`data ${name}: expected a path to the folder of its files, got none`);
  }
  const { classes, train: images, test: ownTest } = await source.open(path ?? '');
  const all = selectAll({ name, labels: images.labels, classes });
  const { train: learned, test } = ownTest
    ? { train: { ...all, name: `${name} train` }, test: selectAll({ name, labels: ownTest.labels, classes }) }
    : splitTrainTest(all, spec.testShare, splitSeed);
  const holdsBack = validationShare > 0;
  const { train, test: validation } = holdsBack
    ? splitTrainTest(learned, validationShare, splitSeed)
    : { train: learned, test: learned };
  const heldBack = holdsBack && limit !== undefined ? Math.max(1, Math.round(limit * validationShare)) : 0;
  const trainLimit = limit === undefined ? undefined : limit - heldBack;
  const validationLimit = holdsBack && limit !== undefined ? heldBack : trainLimit;
  const choose = (part: Selection, label: string, count: number | undefined): Selection => {
    const named = { ...part, name: `${name} ${label}` };
    const chosen =
      spec.classes.length > 0
        ? selectClasses(named, spec.classes, `${named.name}, classes ${spec.classes.join(', ')}`)
        : named;
    return count === undefined ? chosen : drawSome(chosen, count, splitSeed);
  };
  const normalization = normalizationOf(spec, images.image.channels, source.normalization);
  const plain = { ...spec, crop: 0, flip: false };
  return {
    train: await present(choose(train, 'train', trainLimit), images, spec, normalization),
    validation: await present(choose(validation, 'validation', validationLimit), images, plain, normalization),
    test: await present(choose(test, 'test', spec.testLimit), ownTest ?? images, plain, normalization),
  };
}

/** All embedded digits, not split, `[1, 28, 28]`, normalized to mean 0 and deviation 1, ordered by class. */
export async function loadDigits(): Promise<Dataset> {
  const { open, normalization } = dataSources.get('digits');
  const { classes, train: images } = await open('');
  const all = selectAll({ name: 'digits', labels: images.labels, classes });
  return present(all, images, dataSpec.parse({}), normalization);
}

/** Loads the images of a selection and makes a data set of them. */
async function present(
  selection: Selection,
  images: LabelledImages,
  { size, interpolation, channels = images.image.channels, crop, flip }: DataSpec,
  normalization: Normalization,
): Promise<Dataset> {
  const bytes = await images.read(selection.indices, { size, interpolation, channels });
  const examples = new ImageExamples(bytes, { channels, ...normalization, augmentation: { crop, flip } });
  return { ...createDataset(examples, selection), nameOf: (index) => images.nameOf(selection.indices[index]) };
}

/** The wanted mean and deviation, or the source's: repeated for grey shown as colour, weighted as brightness is for colour shown as grey. */
function normalizationOf(spec: DataSpec, own: 1 | 3, usual: Normalization): Normalization {
  const { channels = own } = spec;
  const numbers = (key: 'mean' | 'std'): readonly number[] => {
    const wanted = spec[key];
    if (wanted.length !== 0 && wanted.length !== 1 && wanted.length !== channels) {
      throw new InputError(`data ${key}: expected ${channels} numbers, one a channel, got ${wanted.length}`);
    }
    const given = wanted.length > 0 ? wanted : usual[key];
    if (given.length === channels) return given;
    const [red, green = red, blue = red] = given;
    return channels === 3 ? [red, green, blue] : [0.299 * red + 0.587 * green + 0.114 * blue];
  };
  return { mean: numbers('mean'), std: numbers('std') };
}
