import { describe, expect, it } from 'vitest';
import { floatDataset } from '../../data/index.js';
import { compile } from '../../engine/index.js';
import { Graph, gradients } from '../../graph/index.js';
import { tasks } from '../index.js';

const task = tasks.get('embedding');
/** Vectors of length 1 in the plane, by their angle in degrees. */
const at = (...degrees: number[]) =>
  Float32Array.from(degrees.flatMap((angle) => [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)]));
const dataset = floatDataset({
  ...{ name: 'three', shape: [1], inputs: new Float32Array(3) },
  ...{ labels: new Int32Array(3), classes: ['a', 'b'] },
});

describe('embeddings', () => {
  it('are measured by their cosines to the original, each beside its own', () => {
    const meter = task.meter(dataset, 2, { compares: true });
    const broken = at(0, 0);
    broken[2] = Number.NaN;
    meter.add({ positions: Uint32Array.of(2), values: at(60), shape: [1, 2], original: at(0) });
    meter.add({ positions: Uint32Array.of(0, 1), values: broken, shape: [2, 2], original: at(0, 0) });
    const { n, metrics } = meter.result();
    expect(n).toBe(3);
    expect(metrics.cosine).toBeCloseTo(0.75, 6);
    expect(metrics.leastCosine).toBeCloseTo(0.5, 6);
    expect(metrics.distance).toBeCloseTo(0.25, 6);
    expect(metrics.notFinite).toBeCloseTo(1 / 3, 12);
    expect(() => meter.add({ positions: Uint32Array.of(0), values: at(0), shape: [1, 2] })).toThrow(
      'outputs of the original',
    );
  });

  it('are kept by the mean of 1 − cosine, whose gradient points at the original', async () => {
    const graph = new Graph();
    const [output, original] = ['output', 'original'].map((name) => graph.input(name, [2, 2]));
    const value = task.divergence(output, original, () => output);
    const [gradient] = gradients(value, [output]);
    if (!gradient) throw new Error('expected a gradient');
    const program = await compile({ value, gradient }, { threads: 1 });
    const results = await program.run({ output: at(60, 90), original: at(0, 90) });
    expect(results.value[0]).toBeCloseTo(0.25, 6);
    const [x, y, ...rest] = results.gradient as Float32Array;
    expect([x, y]).toEqual([expect.closeTo(-0.25, 6), expect.closeTo(Math.sqrt(3) / 4, 6)]);
    for (const other of rest) expect(other).toBeCloseTo(0, 6);
    await program.release();
  });
});
