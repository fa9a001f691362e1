import { describe, expect, it } from 'vitest';
import { compile } from '../src/engine/index.js';
import { Graph, gradients, mul, reduceSum, type Tensor } from '../src/graph/index.js';
import { alignByDistance, logBucket } from '../src/nn/index.js';
import { readLanguageFixture } from './support/language-fixtures.js';

describe('logBucket', () => {
  const { logBuckets = [] } = readLanguageFixture('deberta-v2');
  it('has cases', () => expect(logBuckets.length).toBeGreaterThan(3));
  it.each(logBuckets)('of $buckets buckets up to $most is transformers’, and odd', ({ of, ...options }) => {
    expect(of.map((_, distance) => logBucket(distance, options))).toEqual(of);
    expect(of.slice(1).map((_, at) => -logBucket(-(at + 1), options))).toEqual(of.slice(1));
  });
});

describe('alignByDistance', () => {
  it.each([1, 2, 3, 7])(
    'puts what is of a distance where tokens are so far apart, and gradients back: %i',
    async (n) => {
      const distances = 2 * n - 1;
      const graph = new Graph();
      const x = graph.input('x', [2, n, distances]);
      const y = alignByDistance(x);
      const factors = graph.input('c', y.shape);
      const [slope] = gradients(reduceSum(mul(y, factors)), [x]) as Tensor[];
      const program = await compile({ y, slope }, { threads: 1 });
      const values = Float32Array.from({ length: 2 * n * distances }, (_, at) => at + 1);
      const c = Float32Array.from({ length: 2 * n * n }, (_, at) => 1 / (at + 1));
      const found = await program.run({ x: values, c });
      const back = new Float32Array(values.length);
      const aligned = Float32Array.from(c, (factor, at) => {
        const [batch, i, j] = [Math.floor(at / (n * n)), Math.floor(at / n) % n, at % n];
        const from = (batch * n + i) * distances + (j - i) + (n - 1);
        back[from] += factor;
        return values[from];
      });
      expect(found.y).toEqual(aligned);
      expect(found.slope).toEqual(back);
      await program.release();
    },
  );
});
