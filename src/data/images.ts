import type { RandomStream } from '../linalg/index.js';
import type { ArraySpecs, BatchRow } from '../nn/index.js';
import type { Examples } from './examples.js';

/** Images of one size as bytes. */
export interface ImageBytes {
  /** `[size, channels, height, width]`, row-major, 0 black to 255. */
  readonly pixels: Uint8Array;
  /** 1 grey, 3 red, green, blue. */
  readonly channels: 1 | 3;
  /** Rows of an image. */
  readonly height: number;
  /** Columns of an image. */
  readonly width: number;
}

/** Random changes of training images. */
export interface Augmentation {
  /** Rows and columns of zeros added on each side, of which a random window of the image's size is cut; 0: none. */
  readonly crop: number;
  /** Whether every other image, by chance, is mirrored left to right. */
  readonly flip: boolean;
}

/** How {@link ImageExamples} shows its images. */
export interface ImageView {
  /** Channels the model sees: the stored ones, or 3 of which each repeats the grey one. */
  readonly channels: 1 | 3;
  /** Mean of each channel, of values 0 to 1. */
  readonly mean: readonly number[];
  /** Standard deviation of each channel, of values 0 to 1. */
  readonly std: readonly number[];
  /** Changes for training; default none. */
  readonly augmentation?: Augmentation;
}

/**
 * Images that stay bytes in memory: each is normalized when it is read, `(byte / 255 − mean) / std` in float32 as
 * torchvision computes it, after a random crop and flip where training asks for them.
 */
export class ImageExamples implements Examples {
  /** Shape of one example as the model sees it. */
  readonly shape: readonly [channels: number, height: number, width: number];
  readonly size: number;
  readonly augmented: boolean;
  /** What each byte becomes, a table for each channel shown. */
  readonly #tables: readonly Float32Array[];
  readonly #augmentation: Augmentation;

  constructor(
    /** The bytes; kept, not copied. */
    readonly images: ImageBytes,
    { channels, mean, std, augmentation = { crop: 0, flip: false } }: ImageView,
  ) {
    const { pixels, height, width } = images;
    this.shape = [channels, height, width];
    this.size = pixels.length / (images.channels * height * width);
    this.#augmentation = augmentation;
    this.augmented = augmentation.crop > 0 || augmentation.flip;
    this.#tables = Array.from({ length: channels }, (_, channel) => normalizationTable(mean[channel], std[channel]));
  }

  layout(): ArraySpecs {
    return { x: { shape: this.shape, dtype: 'float32' } };
  }

  read(index: number, { batch, row }: BatchRow, random?: RandomStream): void {
    const { pixels, channels, height, width } = this.images;
    const plane = height * width;
    const out = batch.x as Float32Array;
    const offset = row * this.#tables.length * plane;
    // Without augmentation the window lies in the middle of the padding, so the loops below copy the whole image.
    const { down, right, mirrored } = random ? this.#draw(random) : { down: 0, right: 0, mirrored: false };
    this.#tables.forEach((table, channel) => {
      const from = (index * channels + (channels === 1 ? 0 : channel)) * plane;
      const to = offset + channel * plane;
      if (down === 0 && right === 0 && !mirrored) {
        for (let i = 0; i < plane; i++) out[to + i] = table[pixels[from + i]];
      } else {
        this.#readWindow(from, out, to, { table, down, right, mirrored });
      }
    });
  }

  #draw(random: RandomStream): { down: number; right: number; mirrored: boolean } {
    const { crop, flip } = this.#augmentation;
    const shift = () => (crop > 0 ? random.integer(2 * crop + 1) - crop : 0);
    return { down: shift(), right: shift(), mirrored: flip && random.integer(2) === 1 };
  }

  /** One channel, its window moved by (down, right) over the zero-padded image, then mirrored. */
  #readWindow(
    from: number,
    out: Float32Array,
    to: number,
    { table, down, right, mirrored }: { table: Float32Array; down: number; right: number; mirrored: boolean },
  ): void {
    const { pixels, height, width } = this.images;
    for (let y = 0; y < height; y++) {
      const row = y + down;
      for (let x = 0; x < width; x++) {
        const column = (mirrored ? width - 1 - x : x) + right;
        const inside = row >= 0 && row < height && column >= 0 && column < width;
        out[to + y * width + x] = table[inside ? pixels[from + row * width + column] : 0];
      }
    }
  }
}

/** Rounded to float32 after each operation, as tensors are. */
function normalizationTable(mean: number, std: number): Float32Array {
  const { fround } = Math;
  return Float32Array.from({ length: 256 }, (_, byte) =>
    fround(fround(fround(byte / 255) - fround(mean)) / fround(std)),
  );
}
