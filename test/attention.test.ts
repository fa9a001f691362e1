import { describe, expect, it } from 'vitest';
import { compile } from '../src/engine/index.js';
import { add, Graph, gradients, mul, reduceSum, rounded, sizeOf, type Tensor } from '../src/graph/index.js';
import { attentionBias, multiHeadAttention, Scope } from '../src/nn/index.js';
import { largestDifference } from './support/compare.js';
import { hashed, readFixture } from './support/linalg-fixtures.js';

/** A case of tools/oracles/attention.py. */
interface AttentionCase {
  batch: number;
  queries: number;
  keys: number;
  heads: number;
  size: number;
  bias: number[] | null;
  mask: number[][] | null;
  scale: number | null;
  output: number[];
  gradients: Record<string, number[]>;
}

const { seed, cases } = readFixture<{ seed: number; cases: AttentionCase[] }>('attention');
const engine = { threads: 1 };

/** Attention of a case as a graph, with its inputs by name and what to feed them. */
function build({ batch, queries, keys, heads, size, bias, mask, scale }: AttentionCase) {
  const graph = new Graph();
  const tensors: Record<string, Tensor> = {};
  const feeds: Record<string, Float32Array> = {};
  const input = (name: string, shape: readonly number[]) => {
    feeds[name] = Float32Array.from(hashed(seed + Object.keys(feeds).length, sizeOf(shape)), (value) => 2 * value);
    tensors[name] = graph.input(name, shape);
    return tensors[name];
  };
  const query = input('query', [batch, queries, heads * size]);
  const [key, value] = ['key', 'value'].map((name) => input(name, [batch, keys, heads * size]));
  const given = bias ? input('bias', bias) : undefined;
  const hidden = mask && attentionBias(graph.constant(mask.flat(), [batch, 1, 1, keys], 'bool'));
  const sum = given && hidden ? add(given, hidden) : (given ?? hidden ?? undefined);
  const options = { heads, bias: sum, ...(scale !== null && { scale }) };
  return { output: multiHeadAttention(new Scope(graph), { query, key, value }, options), tensors, feeds };
}

describe('attention against PyTorch', () => {
  it.each(cases.map((one, index) => ({ index, ...one })))('case $index: output and gradients', async (one) => {
    const { output, tensors, feeds } = build(one);
    const factors = output.graph.input('c', output.shape);
    const names = Object.keys(tensors);
    const slopes = gradients(reduceSum(mul(output, factors)), Object.values(tensors));
    const outputs = Object.fromEntries(slopes.map((slope, i) => [`d ${names[i]}`, slope as Tensor]));
    const program = await compile({ output, ...outputs }, engine);
    const results = await program.run({ ...feeds, c: Float32Array.from(hashed(seed + 9, output.size)) });
    await program.release();
    expect(names).toEqual(Object.keys(one.gradients));
    for (const [name, values] of [['output', one.output] as const, ...Object.entries(one.gradients)]) {
      const found = results[name === 'output' ? name : `d ${name}`] as Float32Array;
      // Largest measured: 3.3e-7. A gradient of zero is one of rounding: of a query with one key there is none.
      expect(largestDifference(found, values, 1e-3).error, name).toBeLessThan(2e-6);
    }
  });
});

describe('a key that may not be seen', () => {
  const one: AttentionCase = { ...cases[0], batch: 1, queries: 3, keys: 3, mask: [[1, 1, 0]] };

  /** The output with the last key and value replaced by a number, as it is or rounded. */
  async function outputWith(number: number, type?: 'float16' | 'bfloat16'): Promise<number[]> {
    const { output, feeds } = build(one);
    const program = await compile(type ? rounded({ output }, type) : { output }, engine);
    for (const name of ['key', 'value']) feeds[name].fill(number, 2 * one.heads * one.size);
    const { output: values } = await program.run(feeds);
    await program.release();
    return [...values] as number[];
  }

  it.each([undefined, 'float16', 'bfloat16'] as const)('changes nothing, however large it is: %s', async (type) => {
    const expected = await outputWith(0, type);
    expect(expected.every(Number.isFinite)).toBe(true);
    for (const number of [3, -1e4, 3e4]) expect(await outputWith(number, type)).toEqual(expected);
  });
});
