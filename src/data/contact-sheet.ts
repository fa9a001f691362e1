import { InputError } from '../registry/index.js';
import { drawText, textHeight, textWidth } from './bitmap-font.js';
import type { LabelledImages } from './collection.js';
import type { FoundData } from './describe.js';
import type { ImageBytes } from './images.js';

/** Pixels between images, and around all. */
const GAP = 4;
const BACKGROUND = 48;
/** Small images are scaled up to about this many pixels by a whole factor, so that each pixel stays a square. */
const USUAL_CELL = 64;
/** Larger images are shown smaller, so that a sheet stays a page. */
const LARGEST_CELL = 96;
const MOST_ROWS = 200;
/** Longer names are cut, so that they do not push the images from the page. */
const LONGEST_NAME = 20;
const LETTERS = 2;

/**
 * One image of some examples of each class, a row a class (the first 200), the splits side by side, with the names of
 * classes and splits. Small images are scaled up by a whole factor to about 64 pixels; larger than 96 and those of other
 * shapes are resized.
 *
 * @param perClass - Examples of each class in each split; default 10, the first ones.
 * @throws InputError when there are no labelled images.
 */
export async function contactSheet(found: FoundData, perClass = 10): Promise<ImageBytes> {
  const [first] = found.images;
  if (!first || found.classes.length === 0) {
    throw new InputError(`${found.path}: expected labelled images for a contact sheet, found ${found.kind}`);
  }
  const longest = Math.max(first.image.height, first.image.width);
  const factor = Math.max(1, Math.round(USUAL_CELL / longest));
  const own = Math.min(longest, LARGEST_CELL);
  const cell = own * factor;
  const step = cell + GAP;
  const names = found.classes.slice(0, MOST_ROWS).map((name, label) => labelOf(name, label));
  const left = 2 * GAP + Math.max(...names.map((name) => textWidth(name, LETTERS)));
  const top = 2 * GAP + textHeight(LETTERS);
  const splitWidth = perClass * step + 2 * GAP;
  const height = top + Math.max(names.length * step, GAP);
  const width = left + found.images.length * splitWidth;
  const planes = Array.from({ length: 3 }, () => new Uint8Array(height * width).fill(BACKGROUND));
  const write = (text: string, at: { top: number; left: number }) => {
    for (const pixels of planes) drawText({ pixels, width }, text, { ...at, scale: LETTERS });
  };
  for (const [row, name] of names.entries()) {
    write(name, { top: top + row * step + Math.max(0, Math.floor((cell - textHeight(LETTERS)) / 2)), left: GAP });
  }
  for (const [split, images] of found.images.entries()) {
    const begin = left + split * splitWidth;
    const { name, size } = found.splits[split];
    const title = [`${name}, ${size} images`, name].find((text) => textWidth(text, LETTERS) <= splitWidth);
    write(title ?? '', { top: GAP, left: begin });
    for (const row of names.keys()) {
      for (const [column, index] of firstOf(images.labels, row, perClass).entries()) {
        const image = await images.read([index], { channels: 3, size: own, interpolation: 'bicubic' });
        const at = { top: top + row * step, left: begin + column * step };
        planes.forEach((plane, channel) => {
          enlarge(image, image.channels === 1 ? 0 : channel, factor, { plane, width, ...at });
        });
      }
    }
  }
  const pixels = new Uint8Array(3 * height * width);
  planes.forEach((plane, channel) => {
    pixels.set(plane, channel * height * width);
  });
  return { pixels, channels: 3, height, width };
}

/** A class's name, and its number where that is another: `--data.classes` takes numbers. */
function labelOf(name: string, label: number): string {
  const text = name === String(label) ? name : `${label} ${name}`;
  return text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME - 2)}..` : text;
}

/** Copies a channel of a square image, each pixel as a square. */
function enlarge(
  { pixels, height, width: own }: ImageBytes,
  channel: number,
  factor: number,
  { plane, width, top, left }: { plane: Uint8Array; width: number; top: number; left: number },
): void {
  for (let y = 0; y < height * factor; y++) {
    const from = (channel * height + Math.floor(y / factor)) * own;
    const to = (top + y) * width + left;
    for (let x = 0; x < own * factor; x++) plane[to + x] = pixels[from + Math.floor(x / factor)];
  }
}

function firstOf(labels: LabelledImages['labels'], label: number, count: number): number[] {
  const found: number[] = [];
  for (let index = 0; index < labels.length && found.length < count; index++) {
    if (labels[index] === label) found.push(index);
  }
  return found;
}
