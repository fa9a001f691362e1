import { ImageCollector, type ImageForm } from './convert.js';
import type { ImageBytes } from './images.js';

/** Labelled images as a source has them, in memory or in files. */
export interface LabelledImages {
  /** Class of each image, `[size]`. */
  readonly labels: Int32Array;
  /** Channels, height and width of the images; where they differ, of the first. */
  readonly image: Pick<ImageBytes, 'channels' | 'height' | 'width'>;
  /** What an image is called in messages: its file, or its place in one. */
  nameOf(index: number): string;
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
  /** Names of the classes. */
  readonly classes: readonly string[];
  /** Training images, or all where there is no official split. */
  readonly train: LabelledImages;
  /** Test images of an official split. */
  readonly test?: LabelledImages;
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
