/** How an image is resized; the names are Pillow's. */
export type Interpolation = 'bilinear' | 'bicubic';

/** Bits behind the point of a fixed-point weight: eight are the pixel's, two keep sums of overshooting weights in 32. */
const PRECISION = 32 - 8 - 2;
const HALF = 2 ** (PRECISION - 1);

const filters: Readonly<Record<Interpolation, { support: number; weight: (x: number) => number }>> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: (x) => cubic(Math.abs(x)) },
};

/** Keys' cubic convolution kernel with a = −1/2, at x ≥ 0. */
function cubic(x: number): number {
  const a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/** Of which pixels each new one of a row is the weighted sum. */
interface Taps {
  /** First pixel of each new one, `[to]`. */
  readonly first: Int32Array;
  /** Number of pixels of each new one, `[to]`. */
  readonly count: Int32Array;
  /** Fixed-point weights, `[to, width]`. */
  readonly weights: Int32Array;
  /** Row length of `weights`. */
  readonly width: number;
}

/**
 * Makes a function that resizes channels of one size, to the bit as `Image.resize` of Pillow 13 does: a windowed average
 * whose window grows when the image shrinks (antialiasing), along rows and then along columns, or the other way round
 * where the height loses more than twice as many pixels as the width; each pass in fixed point and rounded to bytes.
 *
 * @param size - `from` and `to` are `[height, width]`.
 * @returns Resizes the channel at `source[at...]` into `out[outAt...]`.
 */
export function createResizer({
  from: [height, width],
  to: [newHeight, newWidth],
  interpolation,
}: {
  from: readonly [number, number];
  to: readonly [number, number];
  interpolation: Interpolation;
}): (source: Uint8Array, at: number, out: Uint8Array, outAt: number) => void {
  const rowTaps = tapsOf(width, newWidth, interpolation);
  const columnTaps = tapsOf(height, newHeight, interpolation);
  // Older versions always begin with the rows.
  const columnsFirst = height > newHeight && height - newHeight > 2 * (width - newWidth);
  const between = new Uint8Array(columnsFirst ? newHeight * width : height * newWidth);
  return (source, at, out, outAt) => {
    if (columnsFirst) {
      for (let x = 0; x < width; x++) resizeLine(source, at + x, width, between, x, width, columnTaps);
      for (let y = 0; y < newHeight; y++) resizeLine(between, y * width, 1, out, outAt + y * newWidth, 1, rowTaps);
    } else {
      for (let y = 0; y < height; y++) resizeLine(source, at + y * width, 1, between, y * newWidth, 1, rowTaps);
      for (let x = 0; x < newWidth; x++) resizeLine(between, x, newWidth, out, outAt + x, newWidth, columnTaps);
    }
  };
}

/** One row or column: elements `step` apart. */
function resizeLine(
  source: Uint8Array,
  at: number,
  step: number,
  out: Uint8Array,
  outAt: number,
  outStep: number,
  { first, count, weights, width }: Taps,
): void {
  for (let i = 0; i < first.length; i++) {
    let sum = HALF;
    let from = at + first[i] * step;
    for (let tap = 0; tap < count[i]; tap++) {
      sum += source[from] * weights[i * width + tap];
      from += step;
    }
    const value = sum >> PRECISION;
    out[outAt + i * outStep] = value < 0 ? 0 : value > 255 ? 255 : value;
  }
}

function tapsOf(from: number, to: number, interpolation: Interpolation): Taps {
  const { support, weight } = filters[interpolation];
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const width = Math.ceil(reach) * 2 + 1;
  const [first, count, weights] = [new Int32Array(to), new Int32Array(to), new Int32Array(to * width)];
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - reach + 0.5));
    const high = Math.min(from, Math.trunc(center + reach + 0.5));
    const exact = Array.from({ length: high - low }, (_, tap) => weight((low + tap - center + 0.5) * (1 / stretch)));
    const total = exact.reduce((sum, value) => sum + value, 0);
    first[i] = low;
    count[i] = exact.length;
    exact.forEach((value, tap) => {
      const fixed = (value / total) * 2 ** PRECISION;
      weights[i * width + tap] = Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    });
  }
  return { first, count, weights, width };
}
