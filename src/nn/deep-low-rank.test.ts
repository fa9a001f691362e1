import { expect, it } from 'vitest';
import { compile } from '../engine/index.js';
import { Graph } from '../graph/index.js';
import { deepLowRank, Scope } from './index.js';

it('is a residual network of low-rank layers, without what it begins with', async () => {
  const graph = new Graph();
  const scope = new Scope(graph, false, 'float64');
  const [width, rank, depth] = [3, 2, 2];
  const x = graph.input('x', [1, 2, width], 'float64');
  const output = deepLowRank(scope.child('net'), x, { depth, rank, activation: 'relu' });
  expect(scope.state.map(({ name, shape }) => `${name} ${shape}`)).toEqual([
    ...['net.0.down.weight 2,3', 'net.0.down.bias 2', 'net.0.up.weight 3,2', 'net.0.up.bias 3'],
    ...['net.1.down.weight 2,3', 'net.1.down.bias 2', 'net.1.up.weight 3,2', 'net.1.up.bias 3'],
  ]);
  const program = await compile({ output }, { threads: 1 });
  let seed = 0;
  const draw = (length: number) => Float64Array.from({ length }, () => Math.sin(++seed * 12.9898) * 1.5);
  const weights = new Map(
    scope.state.map(({ name, shape }) => [name, draw(shape.reduce((product, length) => product * length, 1))]),
  );
  const values = draw(2 * width);
  const feeds = Object.fromEntries([...weights].map(([name, data]) => [`weight/${name}`, data]));
  const found = (await program.run({ ...feeds, x: values })).output as Float64Array;
  await program.release();
  const times = (name: string, vector: number[]) => {
    const bias = weights.get(`${name}.bias`) ?? [];
    const matrix = weights.get(`${name}.weight`) ?? [];
    return Array.from(bias, (own, row) =>
      vector.reduce((sum, value, column) => sum + matrix[row * vector.length + column] * value, own),
    );
  };
  for (const token of [0, 1]) {
    const given = [...values.subarray(token * width, (token + 1) * width)];
    let h = given;
    for (let layer = 0; layer < depth; layer++) {
      const narrow = times(`net.${layer}.down`, h).map((value) => Math.max(value, 0));
      h = times(`net.${layer}.up`, narrow).map((value, at) => h[at] + value);
    }
    h.forEach((value, at) => void expect(found[token * width + at]).toBeCloseTo(value - given[at], 12));
  }
});
