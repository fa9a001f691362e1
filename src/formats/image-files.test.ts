import { describe, expect, it } from 'vitest';
import { outOfTolerance } from '../../test/support/compare.js';
import { readFixture } from '../../test/support/fixtures.js';
import { type DecodedImage, decodeImage, encodePng, InputError } from './index.js';

const { decode, refused } = readFixture<{
  decode: { name: string; height: number; width: number; channels: 1 | 3; file: string; pixels: string }[];
  refused: { name: string; file: string }[];
}>('images.json');

/** `[channels, height, width]` as the fixture's `[height, width, channels]`. */
function interleaved({ pixels, channels }: DecodedImage): Uint8Array {
  const plane = pixels.length / channels;
  return Uint8Array.from(pixels, (_, i) => pixels[(i % channels) * plane + Math.floor(i / channels)]);
}

describe('decodeImage', () => {
  it.each(decode)("$name: Pillow's pixels, to the bit", async ({ name, height, width, channels, file, pixels }) => {
    const image = await decodeImage(Buffer.from(file, 'base64'), name);
    expect(image).toMatchObject({ height, width, channels });
    const problems = outOfTolerance(name, interleaved(image), Buffer.from(pixels, 'base64'), 0);
    expect(problems).toEqual([]);
  });

  it.each(refused)('refuses a $name', async ({ name, file }) => {
    await expect(decodeImage(Buffer.from(file, 'base64'), name)).rejects.toThrow(InputError);
    await expect(decodeImage(Buffer.from(file, 'base64'), name)).rejects.toThrow(`${name}: expected`);
  });

  it('refuses SVG, text and nothing', async () => {
    for (const text of ['<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', 'https://a.b/c.png', '']) {
      await expect(decodeImage(Buffer.from(text), 'x')).rejects.toThrow('x: expected a PNG or JPEG image');
    }
  });

  it('refuses an image above the limit, before it is decoded', async () => {
    const file = Buffer.from(decode[0].file, 'base64');
    // 30,000 × 30,000 by the header, which libvips checks before the checksum.
    file.writeUInt32BE(30_000, 16);
    file.writeUInt32BE(30_000, 20);
    await expect(decodeImage(file, 'big')).rejects.toThrow(
      /^big: expected an undamaged image of at most 16777216 pixels/,
    );
    await expect(decodeImage(Buffer.from(decode[1].file, 'base64'), 'x', { maxPixels: 100 })).rejects.toThrow(
      '100 pixels',
    );
  });

  it.each(decode)('a cut $name is refused', async ({ name, file }) => {
    const bytes = Buffer.from(file, 'base64');
    await expect(decodeImage(bytes.subarray(0, Math.floor(bytes.length * 0.6)), name)).rejects.toThrow(InputError);
  });

  it.each(decode.filter(({ name }) => !name.includes('jpeg')))('encodePng gives $name back', async ({ name, file }) => {
    const image = await decodeImage(Buffer.from(file, 'base64'), name);
    expect(await decodeImage(await encodePng(image), 'again')).toEqual(image);
  });
});
