import { InputError } from '../registry/index.js';
import type { ImageCollection, LabelledImages, Normalization } from './collection.js';
import { createDataset, type Labelled, type LabelledDataset, type Selection, selectAll } from './dataset.js';
import { ImageExamples } from './images.js';
import type { ChosenParts, DataParts } from './parts.js';
import type { DataSpec } from './spec.js';

/**
 * Loads the chosen images and brings them into the wanted form; training images are augmented.
 *
 * @throws InputError when an image is damaged, or the parts have images of different sizes.
 */
export async function presentImages(
  parts: ChosenParts<LabelledImages>,
  usual: Normalization,
  spec: DataSpec,
): Promise<DataParts> {
  const { channels: own } = parts.train.part.image;
  const normalization = normalizationOf(spec, own, usual);
  const augmented = { ...spec, channels: spec.channels ?? own };
  const plain = { ...augmented, crop: 0, flip: false };
  const loaded = {
    train: await present(parts.train.selection, parts.train.part, augmented, normalization),
    validation: await present(parts.validation.selection, parts.validation.part, plain, normalization),
    test: await present(parts.test.selection, parts.test.part, plain, normalization),
  };
  const sizeOf = ({ examples }: LabelledDataset) => examples.layout([]).x.shape.slice(1).join('×');
  for (const part of [loaded.validation, loaded.test]) {
    if (sizeOf(part) === sizeOf(loaded.train)) continue;
    throw new InputError(
      `${part.name}: expected ${sizeOf(loaded.train)} pixels as the training images, found ${sizeOf(part)}; give data.size`,
    );
  }
  return loaded;
}

/** All images of a collection without a split, as they are. */
export async function presentDigits(
  { classes, train: images, normalization }: ImageCollection,
  spec: DataSpec,
): Promise<LabelledDataset> {
  const all = selectAll({ name: 'digits', labels: images.labels, classes });
  return present(all, images, { ...spec, channels: 1 }, normalization);
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
