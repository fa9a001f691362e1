import { createHash } from 'node:crypto';
import { checkTexts, type NearDuplicates } from './check-texts.js';
import { type DataDescription, describeData, type FoundData } from './describe.js';
import { DuplicateFinder, type Duplicates } from './duplicates.js';
import type { ImageBytes } from './images.js';

/** A data set that was read in full. */
export interface CheckedData extends DataDescription {
  /** Height and width of the smallest and of the largest image, by area. */
  readonly sizes?: { readonly smallest: readonly [number, number]; readonly largest: readonly [number, number] };
  /** Exact copies. */
  readonly duplicates: Duplicates;
  /** Near copies; of texts alone. */
  readonly near?: NearDuplicates;
}

/** Images as they are: grey stays grey, and nothing is resized. */
const asTheyAre = { channels: 3, interpolation: 'bilinear' } as const;

/**
 * Reads every example of a data set, and finds copies within and between its splits: images by SHA-256 of size and pixels,
 * texts by their letters, and near copies of texts.
 *
 * @param onExample - Hears after each example.
 * @throws InputError when a file is damaged.
 */
export async function checkData(found: FoundData, onExample?: () => void): Promise<CheckedData> {
  const names = found.splits.map(({ name }) => name);
  if (found.texts.length > 0) {
    const splits = found.texts.map((texts, split) => ({ name: names[split], texts }));
    return { ...describeData(found), ...checkTexts(splits, onExample) };
  }
  const finder = new DuplicateFinder(names);
  let smallest: ImageBytes | undefined;
  let largest: ImageBytes | undefined;
  const area = ({ height, width }: ImageBytes) => height * width;
  for (const [split, images] of found.images.entries()) {
    for (let index = 0; index < images.labels.length; index++) {
      const image = await images.read([index], asTheyAre);
      onExample?.();
      if (!smallest || area(image) < area(smallest)) smallest = image;
      if (!largest || area(image) > area(largest)) largest = image;
      finder.add(hashOf(image), { split, label: images.labels[index], name: () => images.nameOf(index) });
    }
  }
  return {
    ...describeData(found),
    sizes: smallest && largest && { smallest: sizeOf(smallest), largest: sizeOf(largest) },
    duplicates: finder.found,
  };
}

function sizeOf({ height, width }: ImageBytes): [number, number] {
  return [height, width];
}

function hashOf({ pixels, channels, height, width }: ImageBytes): string {
  return createHash('sha256').update(`${channels}×${height}×${width} `).update(pixels).digest('base64');
}
