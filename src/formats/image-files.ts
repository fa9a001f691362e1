import { InputError } from './errors.js';
import { readFileCapped } from './files.js';

/** Largest image file that is read: 64 MiB. */
const MAX_BYTES = 2 ** 26;
/** Largest image that is decoded: 2^24 pixels, as 4,096 × 4,096; decoded it takes 48 MiB. */
const MAX_PIXELS = 2 ** 24;

const SIGNATURES: readonly (readonly number[])[] = [
  [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
  [0xff, 0xd8, 0xff],
];

/** An image as bytes, channel by channel. */
export interface DecodedImage {
  /** `[channels, height, width]`, 0 black to 255. */
  readonly pixels: Uint8Array;
  /** 1 grey, 3 red, green, blue. */
  readonly channels: 1 | 3;
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
}

/**
 * Decodes a PNG or JPEG image of 8 bits a channel, as Pillow opens it: colour profile and orientation are ignored, and an
 * alpha channel is dropped. Grey images keep their one channel.
 *
 * @param bytes - The whole file.
 * @param source - Its name, for messages.
 * @param options - `maxPixels`: refused above, before anything is decoded; default 2^24.
 * @throws InputError when it is no such image, damaged or too large.
 */
export async function decodeImage(
  bytes: Uint8Array,
  source: string,
  { maxPixels = MAX_PIXELS }: { maxPixels?: number } = {},
): Promise<DecodedImage> {
  // The decoder knows many formats, some of which read other files: it only ever meets these two.
  if (!SIGNATURES.some((signature) => signature.every((byte, index) => bytes[index] === byte))) {
    throw new InputError(`${source}: expected a PNG or JPEG image, found other bytes`);
  }
  const { default: sharp } = await import('sharp');
  const input = { limitInputPixels: maxPixels, failOn: 'warning', ignoreIcc: true } as const;
  try {
    const { space, depth } = await sharp(bytes, input).metadata();
    if (depth !== 'uchar' || (space !== 'srgb' && space !== 'b-w')) {
      throw new InputError(`${source}: expected grey or RGB with 8 bits a channel, found ${space}, ${depth}`);
    }
    const { data, info } = await sharp(bytes, input)
      .removeAlpha()
      .toColourspace(space)
      .raw()
      .toBuffer({ resolveWithObject: true });
    const { channels, height, width } = info;
    if (channels !== 1 && channels !== 3) {
      throw new InputError(`${source}: expected 1 or 3 channels, found ${channels}`);
    }
    return { pixels: planar(data, channels), channels, height, width };
  } catch (error) {
    if (error instanceof InputError) throw error;
    const reason = error instanceof Error ? error.message.replace(/\s+/g, ' ').trim() : String(error);
    throw new InputError(`${source}: expected an undamaged image of at most ${maxPixels} pixels, ${reason}`);
  }
}

/**
 * Reads and decodes an image file; see {@link decodeImage}.
 *
 * @throws InputError when the file is missing, above 64 MiB, or no such image.
 */
export async function readImage(path: string): Promise<DecodedImage> {
  return decodeImage(await readFileCapped(path, MAX_BYTES), path);
}

/** The bytes of a PNG file. */
export async function encodePng({ pixels, channels, height, width }: DecodedImage): Promise<Uint8Array> {
  const { default: sharp } = await import('sharp');
  const plane = height * width;
  const interleaved = Uint8Array.from(pixels, (_, i) => pixels[(i % channels) * plane + Math.floor(i / channels)]);
  const image = sharp(interleaved, { raw: { width, height, channels } });
  return await image
    .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    .png()
    .toBuffer();
}

/** `[height, width, channels]` to `[channels, height, width]`. */
function planar(interleaved: Uint8Array, channels: number): Uint8Array {
  const plane = interleaved.length / channels;
  const pixels = new Uint8Array(interleaved.length);
  for (let channel = 0; channel < channels; channel++) {
    for (let i = 0; i < plane; i++) pixels[channel * plane + i] = interleaved[i * channels + channel];
  }
  return pixels;
}
