import { ImageCollector, type ImageForm } from './convert.js';
import type { ImageBytes } from './images.js';

/** One part of an opened data set, whatever its examples are. */
export interface LabelledPart {
  /** Class of each example, `[size]`; 0 where the data set has no classes. */
  readonly labels: Int32Array;
  /** What an example is called in messages: its file, or its place in one. */
  nameOf(index: number): string;
}

/** Labelled images as a source has them, in memory or in files. */
export interface LabelledImages extends LabelledPart {
  /** Channels, height and width of the images; where they differ, of the first. */
  readonly image: Pick<ImageBytes, 'channels' | 'height' | 'width'>;
  /**
   * Loads some images, in the given order.
   *
   * @throws InputError when a file is damaged, or images that are not resized have different sizes.
   */
  read(indices: ArrayLike<number>, form: ImageForm): Promise<ImageBytes>;
}

/** Mean and deviation of pixels, one for each channel, of values 0 to 1. */
export interface Normalization {
  /** Means. */
  readonly mean: readonly number[];
  /** Standard deviations. */
  readonly std: readonly number[];
}

/** An opened data set of images. */
export interface ImageCollection {
  /** What its examples are. */
  readonly kind: 'images';
  /** Names of the classes. */
  readonly classes: readonly string[];
  /** Normalization in common use, or the statistics of the training images; for the images' own channels. */
  readonly normalization: Normalization;
  /** Training images, or all where there is no official split. */
  readonly train: LabelledImages;
  /** Validation images of an official split. */
  readonly validation?: LabelledImages;
  /** Test images of an official split. */
  readonly test?: LabelledImages;
  /** Sentences for people: what of the files was left out or used otherwise, and why. */
  readonly notes?: readonly string[];
}

/**
 * Mean and deviation of each channel of images, to six digits; a channel of one value alone gets deviation 1. The sums are
 * of whole numbers, so the order of the images changes nothing.
 */
export function statisticsOf({ pixels, channels, height, width }: ImageBytes): Normalization {
  const plane = height * width;
  const counts = Array.from({ length: channels }, () => new Float64Array(256));
  for (let start = 0; start < pixels.length; start += plane) {
    const count = counts[(start / plane) % channels];
    for (let i = start; i < start + plane; i++) count[pixels[i]]++;
  }
  const moments = counts.map((count) => {
    const size = count.reduce((sum, each) => sum + each, 0);
    const mean = count.reduce((sum, each, byte) => sum + each * byte, 0) / size;
    const variance = count.reduce((sum, each, byte) => sum + each * (byte - mean) ** 2, 0) / size;
    return { mean: mean / 255, std: Math.sqrt(variance) / 255 };
  });
  return {
    mean: moments.map(({ mean }) => Number(mean.toFixed(6))),
    std: moments.map(({ std }) => Number(std.toFixed(6)) || 1),
  };
}

/** Labelled images that lie in memory; `source` is their file. */
export function imagesInMemory(source: string, images: ImageBytes, labels: Int32Array): LabelledImages {
  const { channels, height, width } = images;
  const stride = channels * height * width;
  return {
    labels,
    image: { channels, height, width },
    nameOf: (index) => `${source} ${index}`,
    read: async (indices, form) => {
      const collector = new ImageCollector(source, indices.length, images, form);
      for (let i = 0; i < indices.length; i++) collector.put(i, images, indices[i] * stride);
      return collector.images;
    },
  };
}
