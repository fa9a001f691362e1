import { expect, it } from 'vitest';
import { Graph, gradients, mul, reduceSum, relu, substituted } from './index.js';

it('is the same computation with another beginning, and itself where it has none', () => {
  const graph = new Graph();
  const [x, y, w] = ['x', 'y', 'w'].map((name) => graph.input(name, [2, 3]));
  const from = relu(x);
  const head = (of: typeof x) => reduceSum(mul(of, w));
  expect(substituted(head(from), from, y)).toBe(head(y));
  expect(substituted(head(from), from, from)).toBe(head(from));
  expect(substituted(from, from, y)).toBe(y);
  expect(substituted(w, from, y)).toBe(w);
  const [ofX, ofY] = gradients(substituted(head(from), from, mul(y, 2)), [x, y]);
  expect(ofX).toBeUndefined();
  expect(ofY?.shape).toEqual([2, 3]);
});
