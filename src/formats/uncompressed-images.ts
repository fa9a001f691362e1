import { InputError } from '../registry/index.js';
import type { DecodedImage } from './decoded-image.js';

/** Whether bytes begin as a BMP or PNM (PPM, PGM) image. */
export function isUncompressedImage(bytes: Uint8Array): boolean {
  return isBmp(bytes) || isPnm(bytes);
}

/**
 * Size of a BMP or PNM image, and its pixels when they are asked for: formats that the decoder library does not read.
 *
 * @param pixels - False reads the header alone.
 * @throws InputError when it is of a kind that is not read (run lengths, other depths), damaged or too large.
 */
export function decodeUncompressed(
  bytes: Uint8Array,
  source: string,
  { maxPixels, pixels = true }: { maxPixels: number; pixels?: boolean },
): DecodedImage {
  const { channels, height, width, read } = isBmp(bytes) ? bmp(bytes, source) : pnm(bytes, source);
  if (height < 1 || width < 1 || height * width > maxPixels) {
    throw new InputError(`${source}: expected an image of 1 to ${maxPixels} pixels, found ${height}×${width}`);
  }
  return { pixels: pixels ? read() : new Uint8Array(), channels, height, width };
}

/** An image whose header was read; `read` gives `[channels, height, width]`. */
interface Opened {
  channels: 1 | 3;
  height: number;
  width: number;
  read: () => Uint8Array;
}

function isPnm([first, second = 0, third]: Uint8Array): boolean {
  return first === 0x50 && [0x32, 0x33, 0x35, 0x36].includes(second) && isSpace(third);
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x23 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

/** P5 and P6 (bytes), P2 and P3 (decimal numbers), of 8 bits a channel. */
function pnm(bytes: Uint8Array, source: string): Opened {
  const [, digit = 0] = bytes;
  const kind = digit - 0x30;
  const channels = kind % 3 === 0 ? 3 : 1;
  let at = 2;
  const next = (): number => {
    for (; at < bytes.length && isSpace(bytes[at]); at++) {
      if (bytes[at] === 0x23) while (at < bytes.length && bytes[at] !== 0x0a) at++;
    }
    const start = at;
    let value = 0;
    for (let byte = bytes[at]; byte !== undefined && byte >= 0x30 && byte <= 0x39; byte = bytes[++at]) {
      value = value * 10 + byte - 0x30;
    }
    if (at === start || at - start > 9)
      throw new InputError(`${source}: expected a number at byte ${start} of a PNM image`);
    return value;
  };
  const [width, height, most] = [next(), next(), next()];
  if (most !== 255) throw new InputError(`${source}: expected a PNM image with values to 255, found values to ${most}`);
  const plane = height * width;
  return {
    channels,
    height,
    width,
    read: () => {
      const out = new Uint8Array(channels * plane);
      // One byte of white space ends the header.
      const start = at + 1;
      if (kind > 3 && bytes.length - start < out.length) {
        throw new InputError(`${source}: expected ${out.length} bytes of pixels, found ${bytes.length - start}`);
      }
      for (let i = 0; i < plane; i++) {
        for (let channel = 0; channel < channels; channel++) {
          const value = kind > 3 ? bytes[start + i * channels + channel] : next();
          if (value === undefined || value > 255)
            throw new InputError(`${source}: expected values to 255, found ${value}`);
          out[channel * plane + i] = value;
        }
      }
      return out;
    },
  };
}

function isBmp(bytes: Uint8Array): boolean {
  return bytes[0] === 0x42 && bytes[1] === 0x4d;
}

/** Windows bitmaps without compression: palettes of 1, 4 and 8 bits, and 24 and 32 bits a pixel. */
function bmp(bytes: Uint8Array, source: string): Opened {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = bytes.length >= 54 ? view.getUint32(14, true) : 0;
  if (header < 40) throw new InputError(`${source}: expected a BMP header of 40 bytes or more, found ${header}`);
  const [width, rows] = [view.getInt32(18, true), view.getInt32(22, true)];
  const height = Math.abs(rows);
  const [bits, compression] = [view.getUint16(28, true), view.getUint32(30, true)];
  const hasMasks = compression === 3 && bits === 32 && bytes.length >= 66;
  const masks = hasMasks ? [54, 58, 62].map((offset) => view.getUint32(offset, true)) : [];
  const plain = compression === 0 || String(masks) === String([0xff0000, 0xff00, 0xff]);
  if (![1, 4, 8, 24, 32].includes(bits) || !plain) {
    throw new InputError(
      `${source}: expected a BMP image without compression, found ${bits} bits a pixel, compression ${compression}`,
    );
  }
  const palette = bits > 8 ? undefined : paletteOf(bytes, view, 14 + header, bits, source);
  const channels = palette?.isGrey ? 1 : 3;
  return {
    channels,
    height,
    width,
    read: () => {
      const start = view.getUint32(10, true);
      const stride = 4 * Math.ceil((width * bits) / 32);
      if (start + stride * height > bytes.length) {
        throw new InputError(`${source}: expected ${start + stride * height} bytes, found ${bytes.length}`);
      }
      const plane = height * width;
      const out = new Uint8Array(channels * plane);
      for (let y = 0; y < height; y++) {
        // A positive height means that the last row comes first.
        const row = start + stride * (rows > 0 ? height - 1 - y : y);
        for (let x = 0; x < width; x++) {
          const entry = palette && colourOf(view, row, x, bits);
          if (entry !== undefined && palette && entry >= palette.count) {
            throw new InputError(`${source}: expected colours below ${palette.count}, found ${entry}`);
          }
          const from = entry === undefined || !palette ? row + (x * bits) / 8 : palette.at + 4 * entry;
          // Blue, green, red.
          for (let channel = 0; channel < channels; channel++)
            out[channel * plane + y * width + x] = view.getUint8(from + 2 - channel);
        }
      }
      return out;
    },
  };
}

function colourOf(view: DataView, row: number, x: number, bits: number): number {
  const bit = x * bits;
  return (view.getUint8(row + (bit >> 3)) >> (8 - bits - (bit & 7))) & (2 ** bits - 1);
}

/** Where a palette lies, how many colours it has, and whether it is the ramp from black to white, as Pillow tells grey. */
function paletteOf(bytes: Uint8Array, view: DataView, at: number, bits: number, source: string) {
  const count = view.getUint32(46, true) || 2 ** bits;
  if (count > 2 ** bits || at + 4 * count > bytes.length) {
    throw new InputError(`${source}: expected a palette of at most ${2 ** bits} colours in the file, found ${count}`);
  }
  const ramp = count === 2 ? [0, 255] : Array.from({ length: count }, (_, i) => i);
  const isGrey = ramp.every((value, i) => [0, 1, 2].every((channel) => bytes[at + 4 * i + channel] === value));
  return { at, count, isGrey };
}
