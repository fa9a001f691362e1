import { createHash } from 'node:crypto';
import type { LabelledImages } from './collection.js';
import { type DataDescription, describeData, type FoundData } from './describe.js';
import type { ImageBytes } from './images.js';

/** Two places of one image. */
export interface DuplicatePair {
  /** Where it was seen first. */
  readonly first: string;
  /** Where it was seen again. */
  readonly second: string;
  /** Whether both places have the same label. */
  readonly sameLabel: boolean;
}

/** Exact copies of images, by their pixels. */
export interface Duplicates {
  /** Images of each split that repeat an earlier one of it, by the split's name. */
  readonly within: Readonly<Record<string, number>>;
  /** Images of later splits that occur in an earlier one. */
  readonly between: number;
  /** Copies, within or between, whose labels differ. */
  readonly otherLabel: number;
  /** The first ten pairs, those between splits before the others. */
  readonly pairs: readonly DuplicatePair[];
}

/** A data set that was read in full. */
export interface CheckedData extends DataDescription {
  /** Height and width of the smallest and of the largest image, by area. */
  readonly sizes?: { readonly smallest: readonly [number, number]; readonly largest: readonly [number, number] };
  /** Exact copies. */
  readonly duplicates: Duplicates;
}

const SHOWN_PAIRS = 10;
/** Images as they are: grey stays grey, and nothing is resized. */
const asTheyAre = { channels: 3, interpolation: 'bilinear' } as const;

/**
 * Reads every image of a data set, and finds exact copies within and between its splits by SHA-256 of size and pixels.
 *
 * @param onImage - Hears after each image.
 * @throws InputError when a file is damaged.
 */
export async function checkData(found: FoundData, onImage?: () => void): Promise<CheckedData> {
  const seen = new Map<string, { split: number; index: number }>();
  const within: Record<string, number> = {};
  const pairs: { between: DuplicatePair[]; within: DuplicatePair[] } = { between: [], within: [] };
  let [between, otherLabel] = [0, 0];
  let smallest: ImageBytes | undefined;
  let largest: ImageBytes | undefined;
  const area = ({ height, width }: ImageBytes) => height * width;
  for (const [split, images] of found.images.entries()) {
    const { name } = found.splits[split];
    within[name] = 0;
    for (let index = 0; index < images.labels.length; index++) {
      const image = await images.read([index], asTheyAre);
      onImage?.();
      if (!smallest || area(image) < area(smallest)) smallest = image;
      if (!largest || area(image) > area(largest)) largest = image;
      const key = hashOf(image);
      const earlier = seen.get(key);
      if (!earlier) {
        seen.set(key, { split, index });
        continue;
      }
      const first: LabelledImages = found.images[earlier.split];
      const sameLabel = first.labels[earlier.index] === images.labels[index];
      if (!sameLabel) otherLabel++;
      const isBetween = earlier.split !== split;
      if (isBetween) between++;
      else within[name]++;
      const known = isBetween ? pairs.between : pairs.within;
      if (known.length < SHOWN_PAIRS) {
        known.push({ first: first.nameOf(earlier.index), second: images.nameOf(index), sameLabel });
      }
    }
  }
  return {
    ...describeData(found),
    sizes: smallest && largest && { smallest: sizeOf(smallest), largest: sizeOf(largest) },
    duplicates: { within, between, otherLabel, pairs: [...pairs.between, ...pairs.within].slice(0, SHOWN_PAIRS) },
  };
}

function sizeOf({ height, width }: ImageBytes): [number, number] {
  return [height, width];
}

function hashOf({ pixels, channels, height, width }: ImageBytes): string {
  return createHash('sha256').update(`${channels}×${height}×${width} `).update(pixels).digest('base64');
}
