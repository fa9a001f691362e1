import { describe, expect, it } from 'vitest';
import { outOfTolerance } from '../../test/support/compare.js';
import { readFixture } from '../../test/support/fixtures.js';
import { InputError } from '../registry/index.js';
import { type DecodedImage, decodeImage, decodeImageHeader, encodePng } from './index.js';

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
      await expect(decodeImage(Buffer.from(text), 'x')).rejects.toThrow('x: expected a PNG, JPEG, TIFF');
    }
  });

  it('refuses an image above the limit, before it is decoded', async () => {
    const file = Buffer.from(decode[0].file, 'base64');
    // 30,000 × 30,000 by the header, which libvips checks before the checksum.
    file.writeUInt32BE(30_000, 16);
    file.writeUInt32BE(30_000, 20);
    await expect(decodeImage(file, 'big')).rejects.toThrow(
      /^big: expected an undamaged image of at most 178956970 pixels/,
    );
    await expect(decodeImage(Buffer.from(decode[1].file, 'base64'), 'x', { maxPixels: 100 })).rejects.toThrow(
      '100 pixels',
    );
  });

  it.each(decode)('a cut $name is refused', async ({ name, file }) => {
    const bytes = Buffer.from(file, 'base64');
    await expect(decodeImage(bytes.subarray(0, Math.floor(bytes.length * 0.6)), name)).rejects.toThrow(InputError);
  });

  it.each(decode)('the header of $name alone says its form', async ({ name, file, channels, height, width }) => {
    const header = await decodeImageHeader(Buffer.from(file, 'base64'), name);
    expect(header).toEqual({ channels, height, width });
    await expect(decodeImageHeader(Buffer.from(file, 'base64'), name, { maxPixels: 5 })).rejects.toThrow(InputError);
  });

  it('decodes photographs of a large camera', async () => {
    // 5,000 × 4,000 pixels, of which one is not black.
    const pixels = new Uint8Array(2e7);
    pixels[12_345_678] = 200;
    const image = await decodeImage(await encodePng({ pixels, channels: 1, height: 4000, width: 5000 }), 'large');
    expect([image.height, image.width, image.pixels.length]).toEqual([4000, 5000, 2e7]);
    expect(image.pixels.indexOf(200)).toBe(12_345_678);
  });

  it.each<[string, string]>([
    ['P5 9999999999 1 255\n', 'big: expected a number at byte 3'],
    ['P5 30000 30000 255\n', 'big: expected an image of 1 to 178956970 pixels, found 30000×30000'],
    ['P5 0 4 255\n', 'big: expected an image of 1 to 178956970 pixels, found 4×0'],
    ['P5 4 4 255\nabc', 'big: expected 16 bytes of pixels, found 3'],
    ['P2 1 1 255\n300', 'big: expected values to 255, found 300'],
    [`BM${'\0'.repeat(12)}(${'\0'.repeat(60)}`, 'big: expected a BMP image without compression, found 0 bits'],
  ])('refuses %j', async (text, message) => {
    await expect(decodeImage(Buffer.from(text, 'latin1'), 'big')).rejects.toThrow(message);
  });

  it.each(decode.filter(({ name }) => !name.includes('jpeg')))('encodePng gives $name back', async ({ name, file }) => {
    const image = await decodeImage(Buffer.from(file, 'base64'), name);
    expect(await decodeImage(await encodePng(image), 'again')).toEqual(image);
  });
});
