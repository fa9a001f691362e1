import { describe, expect, it } from 'vitest';
import { outOfTolerance } from '../../test/support/compare.js';
import { readFixture } from '../../test/support/fixtures.js';
import { ImageCollector } from './convert.js';
import type { ImageBytes } from './images.js';
import { createResizer, type Interpolation } from './resize.js';

interface ResizeCase {
  height: number;
  width: number;
  channels: 1 | 3;
  kind: string;
  source: string;
  newHeight: number;
  newWidth: number;
  bilinear: string;
  bicubic: string;
}

const { resize, grey } = readFixture<{
  resize: ResizeCase[];
  grey: { height: number; width: number; source: string; grey: string };
}>('images.json');

/** The fixture's `[height, width, channels]` as `[channels, height, width]`. */
function planar(text: string, channels: number): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  const plane = bytes.length / channels;
  return Uint8Array.from(bytes, (_, i) => bytes[(i % plane) * channels + Math.floor(i / plane)]);
}

const label = ({ kind, channels, height, width, newHeight, newWidth }: ResizeCase) =>
  `${kind} ${channels}×${height}×${width} to ${newHeight}×${newWidth}`;

describe.each(['bilinear', 'bicubic'] as const)("%s equals Pillow's, to the bit", (interpolation: Interpolation) => {
  it.each(resize.map((each) => [label(each), each] as const))('%s', (name, each) => {
    const { height, width, channels, newHeight, newWidth } = each;
    const out = new Uint8Array(channels * newHeight * newWidth);
    const resizeChannel = createResizer({ from: [height, width], to: [newHeight, newWidth], interpolation });
    const source = planar(each.source, channels);
    for (let channel = 0; channel < channels; channel++) {
      resizeChannel(source, channel * height * width, out, channel * newHeight * newWidth);
    }
    expect(outOfTolerance(name, out, planar(each[interpolation], channels), 0)).toEqual([]);
  });
});

describe('ImageCollector', () => {
  const { height, width } = grey;
  const colour: ImageBytes = { pixels: planar(grey.source, 3), channels: 3, height, width };

  it("turns colour into Pillow's grey, to the bit", () => {
    const collector = new ImageCollector('test', 2, colour, { channels: 1, interpolation: 'bilinear' });
    collector.put(1, colour);
    const { pixels, channels } = collector.images;
    expect(channels).toBe(1);
    expect(outOfTolerance('grey', pixels.subarray(height * width), planar(grey.grey, 1), 0)).toEqual([]);
    expect(pixels.subarray(0, height * width).every((pixel) => pixel === 0)).toBe(true);
  });

  it('keeps colour, repeats a grey image among colour ones, and leaves grey ones grey', () => {
    const form = { channels: 3, interpolation: 'bilinear' } as const;
    const mixed = new ImageCollector('test', 2, colour, form);
    const plain: ImageBytes = { pixels: planar(grey.grey, 1), channels: 1, height, width };
    mixed.put(0, colour);
    mixed.put(1, plain);
    expect(mixed.images.pixels).toEqual(
      Uint8Array.from([...colour.pixels, ...plain.pixels, ...plain.pixels, ...plain.pixels]),
    );
    expect(new ImageCollector('test', 1, plain, form).images.channels).toBe(1);
  });

  it('reads images from the middle of many, and resizes each', () => {
    const three = { ...colour, pixels: Uint8Array.from([...colour.pixels, ...colour.pixels.toReversed()]) };
    const form = { channels: 3, size: 17, interpolation: 'bicubic' } as const;
    const [one, other] = [new ImageCollector('test', 1, colour, form), new ImageCollector('test', 1, colour, form)];
    one.put(0, { ...colour, pixels: colour.pixels.toReversed() });
    other.put(0, three, colour.pixels.length);
    expect(other.images).toEqual(one.images);
    expect(one.images).toMatchObject({ channels: 3, height: 17, width: 17 });
  });

  it('refuses more than an array holds', () => {
    expect(
      () => new ImageCollector('big', 30_000, colour, { channels: 3, size: 224, interpolation: 'bilinear' }),
    ).toThrow('big: expected images of at most 4294967296 bytes in all, found 30000 of 3×224×224');
  });
});
