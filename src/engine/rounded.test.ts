import { describe, expect, it } from 'vitest';
import { Graph, matMul, mul, rounded } from '../graph/index.js';
import { compile } from './index.js';

/** Values of `x · (1 as the type rounds it)` with every tensor rounded. */
async function throughType(values: readonly number[], type: 'float16' | 'bfloat16'): Promise<number[]> {
  const graph = new Graph();
  const x = graph.input('x', [values.length]);
  const results = [];
  for (const optimize of [true, false]) {
    const program = await compile(rounded({ y: mul(x, 0.1) }, type), { threads: 1, optimize });
    results.push([...(await program.run({ x: Float32Array.from(values) })).y]);
    await program.release();
  }
  expect(results[0]).toEqual(results[1]);
  return results[0] as number[];
}

describe('rounded', () => {
  // Computed with torch 2.15: (torch.tensor(values).to(dtype) * torch.tensor(0.1).to(dtype)).float()
  const values = [1, 1 / 3, 1000.7, 65504, 65519, 65521, 1e-5, 6e-8, 2e-8, 3.3e38, -0.7];

  it('rounds inputs, constants and results to float16, and overflows to infinity', async () => {
    expect(await throughType(values, 'float16')).toEqual([
      0.0999755859375,
      0.0333251953125,
      100,
      6548,
      6548,
      Number.POSITIVE_INFINITY,
      1.0132789611816406e-6,
      0,
      0,
      Number.POSITIVE_INFINITY,
      -0.07000732421875,
    ]);
  });

  it('rounds to bfloat16, which keeps the range of float32', async () => {
    expect(await throughType(values, 'bfloat16')).toEqual([
      0.10009765625, 0.033447265625, 100, 6560, 6560, 6560, 1.0058283805847168e-6, 6.024492904543877e-9,
      2.0081643015146255e-9, 3.306454639514978e37, -0.06982421875,
    ]);
  });

  it('keeps float32 within a sum: 2048 ones and one more are 2049 before they are rounded', async () => {
    const graph = new Graph();
    const ones = graph.constant(Array(2051).fill(1), [2051, 1]);
    const program = await compile(rounded({ y: matMul(graph.input('x', [1, 2051]), ones) }, 'float16'), { threads: 1 });
    const { y } = await program.run({ x: new Float32Array(2051).fill(1) });
    // 2051 rounds to 2052 in float16; sums in float16 would stay at 2048.
    expect([...y]).toEqual([2052]);
    await program.release();
  });
});
