import { describe, expect, it } from 'vitest';
import { compile } from '../../src/engine/index.js';
import { conv, erf, Graph, relu, runnableInDouble, toOnnx } from '../../src/graph/index.js';
import { readFixture } from '../support/fixtures.js';
import { groups, testGroupInDouble } from './oracle.js';

// A cast's type is what its case is about.
for (const group of groups) testGroupInDouble(group, /^cast/);

const doubles = (base64: string) => new Float64Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);

describe('float64', () => {
  it('has an error function that is exact to the last digits', async () => {
    const { erf: expected } = readFixture<{ erf: { x: string; y: string } }>('hessian.json');
    const [x, wanted] = [doubles(expected.x), doubles(expected.y)];
    const graph = new Graph();
    const program = await compile({ y: erf(graph.input('x', [x.length], 'float64')) }, { threads: 1 });
    const found = (await program.run({ x })).y as Float64Array;
    const errors = Array.from(found, (value, i) => Math.abs(value - wanted[i]) / Math.max(Math.abs(wanted[i]), 1e-290));
    expect(Math.max(...errors)).toBeLessThan(5e-16);
    await program.release();
  });

  it('leaves a float32 graph as it is, and one whose operators all have kernels', () => {
    const graph = new Graph();
    const x = graph.input('x', [1, 1, 4, 4]);
    const single = { y: conv(x, graph.input('w', [1, 1, 3, 3])) };
    expect(runnableInDouble(single)).toBe(single);
    const double = { y: relu(graph.input('d', [3], 'float64')) };
    expect(runnableInDouble(double)).toBe(double);
    const lowered = { y: conv(graph.input('e', [1, 1, 4, 4], 'float64'), graph.input('f', [1, 1, 3, 3], 'float64')) };
    expect(Buffer.from(toOnnx(lowered)).includes('Conv')).toBe(true);
    expect(Buffer.from(toOnnx(runnableInDouble(lowered))).includes('Conv')).toBe(false);
  });
});
