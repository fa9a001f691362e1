import { z } from 'zod';
import { InputError, quote } from '../registry/index.js';
import type { ImageCollection, LabelledImages, Normalization } from './collection.js';
import {
  createDataset,
  drawSome,
  type Labelled,
  type LabelledDataset,
  type Selection,
  selectAll,
  selectClasses,
  splitTrainTest,
} from './dataset.js';
import { sourceAt } from './detect.js';
import { ImageExamples } from './images.js';
import { type DataSource, dataSources } from './registry.js';

/** Shares that are kept for testing and validation where none is given. */
const TEST_SHARE = 0.2;
const VALIDATION_SHARE = 0.15;

/** Which examples of which data set, and how a model sees them: plain data, so that it can be sent to another process. */
export const dataSpec = z.strictObject({
  name: z
    .enum(dataSources.names() as [string, ...string[]])
    .optional()
    .describe('data set; default: found out from the files of the path, or digits where none is given'),
  path: z
    .string()
    .min(1)
    .optional()
    .describe('folder of its files, or the training images of one of several IDX sets in a folder; digits need none'),
  classes: z
    .array(z.int().min(0))
    .refine((classes) => new Set(classes).size === classes.length, { message: 'expected each class once' })
    .refine((classes) => classes.length !== 1, {
      message: 'expected two classes or more, as there is nothing to tell apart',
    })
    .default([])
    .describe('classes to use by their position from 0, renumbered from 0 in this order; default all'),
  testShare: z
    .number()
    .min(0.01)
    .max(0.9)
    .optional()
    .describe(
      'share of the examples that is kept for testing, where the data set has no test examples of its own; default 0.2',
    ),
  validationShare: z
    .number()
    .min(0)
    .max(0.9)
    .optional()
    .describe(
      'share of the other examples that neither training nor lock is trained on, to stop them by, where the data set has no such examples of its own; 0: none, training examples take their place, which flatters; default 0.15',
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
  interpolation: z.enum(['bilinear', 'bicubic']).optional().describe('how images are resized; default bilinear'),
  channels: z
    .literal([1, 3])
    .optional()
    .describe("channels: grey is repeated, colour made grey; default the images' own"),
  mean: z
    .array(z.number())
    .default([])
    .describe('mean of each channel, of values 0 to 1; default the usual of the data set'),
  std: z
    .array(z.number().min(1e-6))
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
  readonly train: LabelledDataset;
  /** To choose by: early stop, and the utility floor of a lock. A model trained on it would flatter itself there. */
  readonly validation: LabelledDataset;
  /** To report on. */
  readonly test: LabelledDataset;
  /** Sentences for people: which files were left out or used otherwise, and why. */
  readonly notes?: readonly string[];
}

/**
 * Loads a data set, splits it into training, validation and test examples, keeps the wanted classes and number of
 * examples, and brings the images into the wanted form. Classes, limits and form do not change which part an example
 * belongs to, so a lock never meets validation examples that the model was trained on with the same split.
 *
 * @throws InputError when files are missing or malformed, a class does not exist, a part is empty, or keys do not fit the
 *   data or one another: none is passed over.
 * @example
 * const { train, test } = await loadData(dataSpec.parse({ name: 'cifar10', path: 'data/cifar10', crop: 4, flip: true }));
 */
export async function loadData(spec: DataSpec): Promise<DataParts> {
  const { path, splitSeed, limit } = spec;
  const source = await sourceOf(spec);
  const { name } = source;
  const collection = await source.open(path ?? '');
  requireUsed(spec, name, collection);
  const { classes, train: images, validation: ownValidation, test: ownTest } = collection;
  const select = ({ labels }: LabelledImages) => selectAll({ name, labels, classes });
  const { train: learned, test } = ownTest
    ? { train: { ...select(images), name: `${name} train` }, test: select(ownTest) }
    : splitTrainTest(select(images), spec.testShare ?? TEST_SHARE, splitSeed);
  const { validationShare = VALIDATION_SHARE } = spec;
  const holdsBack = validationShare > 0;
  const { train, test: validation } = ownValidation
    ? { train: learned, test: select(ownValidation) }
    : holdsBack
      ? splitTrainTest(learned, validationShare, splitSeed)
      : { train: learned, test: learned };
  const heldBack = holdsBack && limit !== undefined ? Math.max(1, Math.round(limit * validationShare)) : 0;
  const trainLimit = limit === undefined ? undefined : limit - heldBack;
  const validationLimit = holdsBack && limit !== undefined ? heldBack : trainLimit;
  const choose = (part: Selection & Labelled, label: string, count: number | undefined): Selection & Labelled => {
    const named = { ...part, name: `${name} ${label}` };
    const chosen =
      spec.classes.length > 0
        ? selectClasses(named, spec.classes, `${named.name}, classes ${spec.classes.join(', ')}`)
        : named;
    if (chosen.size === 0 && label !== 'validation') {
      throw new InputError(`${chosen.name}: expected examples, found none; give more, or other shares`);
    }
    return count === undefined ? chosen : drawSome(chosen, count, splitSeed);
  };
  const parts = {
    train: { selection: choose(train, 'train', trainLimit), images },
    validation: { selection: choose(validation, 'validation', validationLimit), images: ownValidation ?? images },
    test: { selection: choose(test, 'test', spec.testLimit), images: ownTest ?? images },
  };
  const { channels: own } = images.image;
  const normalization = normalizationOf(spec, own, collection.normalization);
  const augmented = { ...spec, channels: spec.channels ?? own };
  const plain = { ...augmented, crop: 0, flip: false };
  const loaded = {
    train: await present(parts.train.selection, parts.train.images, augmented, normalization),
    validation: await present(parts.validation.selection, parts.validation.images, plain, normalization),
    test: await present(parts.test.selection, parts.test.images, plain, normalization),
  };
  const sizeOf = ({ examples }: LabelledDataset) => examples.layout([]).x.shape.slice(1).join('×');
  for (const part of [loaded.validation, loaded.test]) {
    if (sizeOf(part) === sizeOf(loaded.train)) continue;
    throw new InputError(
      `${part.name}: expected ${sizeOf(loaded.train)} pixels as the training images, found ${sizeOf(part)}; give data.size`,
    );
  }
  const notes = [...(collection.notes ?? [])];
  if (loaded.validation.size === 0)
    notes.push(`${loaded.validation.name}: no examples, so nothing can be stopped by them.`);
  return { ...loaded, notes };
}

/** The source that a spec names, or that its path tells. */
async function sourceOf({ name, path }: DataSpec): Promise<DataSource> {
  const source = name === undefined && path !== undefined ? await sourceAt(path) : dataSources.get(name ?? 'digits');
  if (source.needsPath && path === undefined) {
    throw new InputError(`data.path: expected the folder of the files of ${source.name}, got none`);
  }
  if (!source.needsPath && path !== undefined) {
    throw new InputError(`data.path: expected none, as ${source.name} are part of weightlock, got ${quote(path)}`);
  }
  return source;
}

/** Refuses keys that would change nothing, and classes that are not there. */
function requireUsed(spec: DataSpec, name: string, { classes, validation, test }: ImageCollection): void {
  if (test && spec.testShare !== undefined) {
    throw new InputError(
      `data.testShare: expected none, as ${name} has test examples of its own, got ${spec.testShare}`,
    );
  }
  if (validation && spec.validationShare !== undefined) {
    throw new InputError(
      `data.validationShare: expected none, as ${name} has validation examples of its own, got ${spec.validationShare}`,
    );
  }
  if (spec.interpolation !== undefined && spec.size === undefined) {
    throw new InputError(`data.interpolation: expected data.size beside it, as images are not resized otherwise`);
  }
  if (classes.length < 2) {
    throw new InputError(
      `${spec.path ?? name}: expected two classes or more, found ${classes.map(quote).join(', ')} alone`,
    );
  }
  const missing = spec.classes.find((label) => label >= classes.length);
  if (missing !== undefined) {
    throw new InputError(
      `data.classes: expected classes from 0 to ${classes.length - 1}, got ${missing}; ${name} has ${listed(classes)}`,
    );
  }
}

/** The first names with their positions: where labels begin at 1, both differ. */
function listed(classes: readonly string[]): string {
  const shown = classes.slice(0, 10).map((name, label) => (name === String(label) ? name : `${label} ${quote(name)}`));
  return `${shown.join(', ')}${classes.length > shown.length ? ', ...' : ''}`;
}

/** All embedded digits, not split, `[1, 28, 28]`, normalized to mean 0 and deviation 1, ordered by class. */
export async function loadDigits(): Promise<LabelledDataset> {
  const { classes, train: images, normalization } = await dataSources.get('digits').open('');
  const all = selectAll({ name: 'digits', labels: images.labels, classes });
  return present(all, images, { ...dataSpec.parse({}), channels: 1 }, normalization);
}

/** Loads the images of a selection and makes a data set of them. */
async function present(
  selection: Selection & Labelled,
  images: LabelledImages,
  { size, interpolation = 'bilinear', channels, crop, flip }: DataSpec & { channels: 1 | 3 },
  normalization: Normalization,
): Promise<LabelledDataset> {
  const bytes = await images.read(selection.indices, { size, interpolation, channels });
  const examples = new ImageExamples(bytes, { channels, ...normalization, augmentation: { crop, flip } });
  const preprocessing = { channels, size: [bytes.height, bytes.width], ...normalization, interpolation } as const;
  const dataset = createDataset(examples, selection, preprocessing);
  return { ...dataset, nameOf: (index) => images.nameOf(selection.indices[index]) };
}

/** The wanted mean and deviation, or the source's: repeated for grey shown as colour, weighted as brightness is for colour shown as grey. */
function normalizationOf(spec: DataSpec, own: 1 | 3, usual: Normalization): Normalization {
  const { channels = own } = spec;
  const numbers = (key: 'mean' | 'std'): readonly number[] => {
    const wanted = spec[key];
    if (wanted.length !== 0 && wanted.length !== 1 && wanted.length !== channels) {
      throw new InputError(`data.${key}: expected ${channels} numbers, one a channel, got ${wanted.length}`);
    }
    const given = wanted.length > 0 ? wanted : usual[key];
    if (given.length === channels) return given;
    const [red, green = red, blue = red] = given;
    return channels === 3 ? [red, green, blue] : [0.299 * red + 0.587 * green + 0.114 * blue];
  };
  return { mean: numbers('mean'), std: numbers('std') };
}
