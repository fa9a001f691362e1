import { InputError } from '../formats/index.js';
import type { FoundData } from './describe.js';
import type { ImageBytes } from './images.js';

const GAP = 2;
const BACKGROUND = 64;
/** Larger images are shown smaller, so that a sheet stays a page. */
const LARGEST_CELL = 96;
const MOST_ROWS = 200;

/**
 * One image of some examples of each class, a row a class (the first 200), of the first split. Images are shown as they
 * are up to 96 pixels, larger ones and those of other sizes resized.
 *
 * @param perClass - Examples of each class; default 10, the first ones.
 * @throws InputError when there are no labelled images.
 */
export async function contactSheet(found: FoundData, perClass = 10): Promise<ImageBytes> {
  const [images] = found.images;
  if (!images || found.classes.length === 0) {
    throw new InputError(`${found.path}: expected labelled images for a contact sheet, found ${found.kind}`);
  }
  const { height: ownHeight, width: ownWidth } = images.image;
  const cell = Math.min(Math.max(ownHeight, ownWidth), LARGEST_CELL);
  const rows = found.classes.slice(0, MOST_ROWS).map((_, label) => firstOf(images.labels, label, perClass));
  const step = cell + GAP;
  const [height, width] = [GAP + rows.length * step, GAP + perClass * step];
  const pixels = new Uint8Array(3 * height * width).fill(BACKGROUND);
  for (const [row, indices] of rows.entries()) {
    for (const [column, index] of indices.entries()) {
      const image = await images.read([index], { channels: 3, size: cell, interpolation: 'bicubic' });
      for (let channel = 0; channel < 3; channel++) {
        const plane = image.channels === 1 ? 0 : channel;
        for (let y = 0; y < cell; y++) {
          const from = (plane * cell + y) * cell;
          const to = (channel * height + GAP + row * step + y) * width + GAP + column * step;
          pixels.set(image.pixels.subarray(from, from + cell), to);
        }
      }
    }
  }
  return { pixels, channels: 3, height, width };
}

function firstOf(labels: Int32Array, label: number, count: number): number[] {
  const found: number[] = [];
  for (let index = 0; index < labels.length && found.length < count; index++) {
    if (labels[index] === label) found.push(index);
  }
  return found;
}
