import { InputError } from '../registry/index.js';
import type { DecodedImage, ImageHeader } from './decoded-image.js';
import { readFileCapped } from './files.js';
import { decodeUncompressed, isUncompressedImage } from './uncompressed-images.js';

/** Largest image file that is read: 1 GiB, above the largest image without compression. */
const MAX_BYTES = 2 ** 30;
/** Largest image that is decoded: where Pillow, too, takes a file for an attack. Large cameras have 108 million pixels. */
const MAX_PIXELS = 178_956_970;

/** Names of files that {@link readImage} decodes: those of torchvision's `ImageFolder`. */
export const IMAGE_NAME: RegExp = /\.(jpe?g|png|ppm|bmp|pgm|tiff?|webp)$/i;

/** How PNG, JPEG, TIFF and WebP files begin; a gap stands for any byte. */
const SIGNATURES: readonly (readonly (number | undefined)[])[] = [
  [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
  [0xff, 0xd8, 0xff],
  [0x49, 0x49, 0x2a, 0x00],
  [0x4d, 0x4d, 0x00, 0x2a],
  [0x52, 0x49, 0x46, 0x46, undefined, undefined, undefined, undefined, 0x57, 0x45, 0x42, 0x50],
];

/** Limits of {@link decodeImage} and {@link decodeImageHeader}. */
export interface ImageLimits {
  /** Refused above, before anything is decoded; default 178,956,970, as Pillow's. */
  readonly maxPixels?: number;
}

/**
 * Decodes a PNG, JPEG, TIFF, WebP, BMP, PPM or PGM image of 8 bits a channel, as Pillow opens it: colour profile and
 * orientation are ignored, an alpha channel is dropped, and stray bytes in a JPEG are passed over. Grey images keep their
 * one channel.
 *
 * @param bytes - The whole file.
 * @param source - Its name, for messages.
 * @throws InputError when it is no such image, damaged or too large.
 */
export async function decodeImage(
  bytes: Uint8Array,
  source: string,
  { maxPixels = MAX_PIXELS }: ImageLimits = {},
): Promise<DecodedImage> {
  if (isUncompressedImage(bytes)) return decodeUncompressed(bytes, source, { maxPixels });
  const header = await decodeImageHeader(bytes, source, { maxPixels });
  return refuseDamaged(source, maxPixels, async () => {
    const { data, info } = await (await openWithDecoder(bytes, maxPixels))
      .removeAlpha()
      .toColourspace(header.channels === 1 ? 'b-w' : 'srgb')
      .raw()
      .toBuffer({ resolveWithObject: true });
    const { channels, height, width } = info;
    if (channels !== 1 && channels !== 3) {
      throw new InputError(`${source}: expected 1 or 3 channels, found ${channels}`);
    }
    return { pixels: planar(data, channels), channels, height, width };
  });
}

/**
 * Reads channels and size of an image without decoding it; see {@link decodeImage}.
 *
 * @throws InputError when it is no such image, or too large.
 */
export async function decodeImageHeader(
  bytes: Uint8Array,
  source: string,
  { maxPixels = MAX_PIXELS }: ImageLimits = {},
): Promise<ImageHeader> {
  if (isUncompressedImage(bytes)) {
    const { channels, height, width } = decodeUncompressed(bytes, source, { maxPixels, pixels: false });
    return { channels, height, width };
  }
  // The decoder knows many formats, some of which read other files: it only ever meets these.
  if (!SIGNATURES.some((signature) => signature.every((byte, i) => byte === undefined || bytes[i] === byte))) {
    throw new InputError(`${source}: expected a PNG, JPEG, TIFF, WebP, BMP, PPM or PGM image, found other bytes`);
  }
  return refuseDamaged(source, maxPixels, async () => {
    const { space, depth, height, width } = await (await openWithDecoder(bytes, maxPixels)).metadata();
    if (depth !== 'uchar' || (space !== 'srgb' && space !== 'b-w')) {
      throw new InputError(`${source}: expected grey or RGB with 8 bits a channel, found ${space}, ${depth}`);
    }
    return { channels: space === 'b-w' ? 1 : 3, height, width };
  });
}

/** JPEG's warnings (bytes between two markers) lose no pixel that Pillow finds; a file that ends early is an error for both. */
async function openWithDecoder(bytes: Uint8Array, maxPixels: number) {
  const { default: sharp } = await import('sharp');
  return sharp(bytes, { limitInputPixels: maxPixels, failOn: 'error', ignoreIcc: true });
}

async function refuseDamaged<T>(source: string, maxPixels: number, decode: () => Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${source}: expected an undamaged image of at most ${maxPixels} pixels, ${reasonOf(error)}`);
  }
}

/** Longest reason that is passed on. */
const mostCharacters = 200;

/** What the decoder says, as one short line: it repeats a complaint for each part of the file that has the same fault. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text.split('\n').map((line) => line.replace(/\s+/g, ' ').trim());
  const reason = [...new Set(lines.filter((line) => line !== ''))].join('; ');
  return reason.length > mostCharacters ? `${reason.slice(0, mostCharacters)}...` : reason;
}

/**
 * Reads and decodes an image file; see {@link decodeImage}.
 *
 * @throws InputError when the file is missing, above 1 GiB, or no such image.
 */
export async function readImage(path: string): Promise<DecodedImage> {
  return decodeImage(await readFileCapped(path, MAX_BYTES), path);
}

/**
 * Reads channels and size of an image file; see {@link decodeImageHeader}.
 *
 * @throws InputError when the file is missing, above 1 GiB, or no such image.
 */
export async function readImageHeader(path: string): Promise<ImageHeader> {
  return decodeImageHeader(await readFileCapped(path, MAX_BYTES), path);
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
  if (channels === 1) return new Uint8Array(interleaved.buffer, interleaved.byteOffset, interleaved.length);
  const plane = interleaved.length / channels;
  const pixels = new Uint8Array(interleaved.length);
  for (let channel = 0; channel < channels; channel++) {
    for (let i = 0; i < plane; i++) pixels[channel * plane + i] = interleaved[i * channels + channel];
  }
  return pixels;
}
