import { describe, expect, it } from 'vitest';
import { readX } from '../../test/support/examples.js';
import { RandomStream } from '../linalg/index.js';
import { type Augmentation, createDataset, gatherBatch, ImageExamples } from './index.js';

const [height, width] = [3, 4];
/** Two images whose every pixel says where it lies, so that a window shows from where it was cut. */
const pixels = Uint8Array.from({ length: 2 * height * width }, (_, i) => i + 1);
const grey = { pixels, channels: 1, height, width } as const;
/** Shows bytes as they are. */
const plain = { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] };
const bytesOf = (values: Float32Array) => [...values].map((value) => Math.round(value));

const row = (x: Float32Array, at: number) => ({ batch: { x }, row: at, layout: {} });

function shown(augmentation: Augmentation, random?: RandomStream): number[] {
  const out = new Float32Array(height * width);
  new ImageExamples(grey, { channels: 1, ...plain, augmentation }).read(1, row(out, 0), random);
  return bytesOf(out);
}

describe('ImageExamples', () => {
  it('normalizes each channel; grey is repeated', () => {
    const examples = new ImageExamples(grey, { channels: 3, mean: [0, 0.5, 1], std: [1, 0.5, 2] });
    const out = new Float32Array(2 * 36);
    examples.read(1, row(out, 1));
    expect(examples.shape).toEqual([3, 3, 4]);
    expect(examples.size).toBe(2);
    for (const [at, value] of [
      [36, 13 / 255],
      [48, (13 / 255 - 0.5) / 0.5],
      [71, (24 / 255 - 1) / 2],
    ]) {
      expect(out[at]).toBeCloseTo(value, 6);
    }
    expect([...out.subarray(0, 36)]).toEqual(new Array(36).fill(0));
  });

  it('colour keeps its three planes', () => {
    const colour = new ImageExamples({ ...grey, height: 2, width: 2, channels: 3 }, { channels: 3, ...plain });
    const out = new Float32Array(12);
    colour.read(1, row(out, 0));
    expect(bytesOf(out)).toEqual([13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]);
  });

  it('crops windows of the zero-padded image, mirrored or not; every one of them occurs', () => {
    const windows = new Set<string>();
    for (let seed = 0; seed < 600; seed++) {
      windows.add(shown({ crop: 1, flip: true }, new RandomStream(seed, 'test')).join());
    }
    const expected = new Set<string>();
    for (const down of [-1, 0, 1]) {
      for (const right of [-1, 0, 1]) {
        const at = (y: number, x: number) =>
          y + down < 0 || y + down >= height || x + right < 0 || x + right >= width
            ? 0
            : 13 + (y + down) * width + x + right;
        const rows = Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => at(y, x)));
        expected.add(rows.flat().join());
        expected.add(rows.flatMap((row) => row.toReversed()).join());
      }
    }
    expect(windows).toEqual(expected);
  });

  it('without a random stream comes as it is', () => {
    expect(shown({ crop: 2, flip: true })).toEqual([...pixels.subarray(12)]);
    expect(shown({ crop: 0, flip: false }, new RandomStream(1, 'test'))).toEqual([...pixels.subarray(12)]);
  });

  it('a batch depends on its stream alone, and reading the data set is never augmented', () => {
    const examples = new ImageExamples(grey, { channels: 1, ...plain, augmentation: { crop: 1, flip: true } });
    const dataset = createDataset(examples, { name: 'two', labels: Int32Array.from([0, 1]), classes: ['a', 'b'] });
    const batch = (step: number) => {
      const batch = { x: new Float32Array(8 * 12) };
      const positions = Uint32Array.of(0, 1, 0, 1, 0, 1, 0, 1);
      gatherBatch(dataset, positions, { batch, layout: {} }, new RandomStream(3, 'augmentation', step));
      return bytesOf(batch.x).join();
    };
    expect(batch(5)).toBe(batch(5));
    expect(batch(5)).not.toBe(batch(6));
    expect(bytesOf(readX(dataset))).toEqual([...pixels]);
  });
});
