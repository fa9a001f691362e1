import { InputError } from '../registry/index.js';
import type { ImageBytes } from './images.js';
import { createResizer, type Interpolation } from './resize.js';

/** Most bytes that the images of one part of a data set may take: 4 GiB, the largest array of Node 20. */
const MAX_BYTES = 2 ** 32;

/** What images are made into when they are loaded. */
export interface ImageForm {
  /** 1 turns colour into grey; 3 leaves grey images grey, which are repeated when they are read. */
  readonly channels: 1 | 3;
  /** New height and width; default the images' own. */
  readonly size?: number;
  /** How images are resized. */
  readonly interpolation: Interpolation;
}

/** Collects images of one size, converted one by one. */
export class ImageCollector {
  readonly images: ImageBytes;
  readonly #form: ImageForm;
  readonly #resizers = new Map<string, ReturnType<typeof createResizer>>();
  #grey = new Uint8Array();

  /**
   * @param source - What the images are, for messages.
   * @param count - Number of images.
   * @param first - The channels and size that all images have, or the first has where they are resized.
   * @throws InputError when they would take more than 4 GiB.
   */
  constructor(
    readonly source: string,
    count: number,
    first: Pick<ImageBytes, 'channels' | 'height' | 'width'>,
    form: ImageForm,
  ) {
    const channels = form.channels === 1 ? 1 : first.channels;
    const { size } = form;
    const [height, width] = size === undefined ? [first.height, first.width] : [size, size];
    const bytes = count * channels * height * width;
    if (bytes > MAX_BYTES) {
      throw new InputError(
        `${source}: expected images of at most ${MAX_BYTES} bytes in all, found ${count} of ${channels}×${height}×${width}`,
      );
    }
    this.#form = form;
    this.images = { pixels: new Uint8Array(bytes), channels, height, width };
  }

  /**
   * Converts one image and keeps it as number `index`.
   *
   * @param from - Holds the image from `at` on.
   */
  put(index: number, from: ImageBytes, at = 0): void {
    const { channels, height, width, pixels } = this.images;
    const source = channels === 1 && from.channels === 3 ? this.#toGrey(from, at) : from.pixels;
    const start = source === from.pixels ? at : 0;
    const plane = height * width;
    const offset = index * channels * plane;
    const resize = this.#resizer(from);
    const sourcePlane = from.height * from.width;
    for (let channel = 0; channel < channels; channel++) {
      // A grey image among colour ones gives all three channels.
      const begin = start + (from.channels === 1 ? 0 : channel) * sourcePlane;
      if (resize) resize(source, begin, pixels, offset + channel * plane);
      else pixels.set(source.subarray(begin, begin + plane), offset + channel * plane);
    }
  }

  #resizer({ height, width }: ImageBytes): ReturnType<typeof createResizer> | undefined {
    const { height: newHeight, width: newWidth } = this.images;
    if (height === newHeight && width === newWidth) return undefined;
    const key = `${height}×${width}`;
    const known =
      this.#resizers.get(key) ??
      createResizer({
        from: [height, width],
        to: [newHeight, newWidth],
        interpolation: this.#form.interpolation,
      });
    this.#resizers.set(key, known);
    return known;
  }

  #toGrey({ pixels, height, width }: ImageBytes, at: number): Uint8Array {
    const plane = height * width;
    if (this.#grey.length < plane) this.#grey = new Uint8Array(plane);
    for (let i = 0; i < plane; i++) {
      this.#grey[i] = luma(pixels[at + i], pixels[at + plane + i], pixels[at + 2 * plane + i]);
    }
    return this.#grey;
  }
}

/** Brightness of a colour by ITU-R 601-2, in Pillow's fixed point (mode L). */
export function luma(red: number, green: number, blue: number): number {
  return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
}
