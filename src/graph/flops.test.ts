import { describe, expect, it } from 'vitest';
import { readFixture } from '../../test/support/fixtures.js';
import {
  add,
  averagePool,
  cast,
  conv,
  convTranspose,
  exp,
  flops,
  Graph,
  gather,
  gelu,
  gradients,
  greater,
  layerNormalization,
  matMul,
  matrixTranspose,
  maxPool,
  mul,
  reduceMean,
  reduceSum,
  relu,
  reshape,
  rmsNormalization,
  scatterElements,
  softmax,
  type Tensor,
  where,
} from './index.js';

/** What `torch.utils.flop_counter` counts. */
const counted = readFixture<{
  products: { a: number[]; b: number[]; flops: number }[];
  convolutions: Convolution[];
  transposed: Convolution[];
  steps: { batch: number; widths: number[]; flops: number }[];
}>('flops.json');

interface Convolution {
  x: number[];
  w: number[];
  options: { stride?: number; padding?: number; dilation?: number; groups?: number };
  flops: number;
}

const inputs = (...shapes: number[][]): Tensor[] => {
  const graph = new Graph();
  return shapes.map((shape, index) => graph.input(`x${index}`, shape));
};

describe('flops', () => {
  it.each(counted.products)('of a product $a · $b are those of PyTorch', ({ a, b, flops: expected }) => {
    const [x, y] = inputs(a, b);
    expect(flops([matMul(x, y)])).toBe(expected);
  });

  it.each(counted.convolutions)('of a convolution $x by $w $options are those of PyTorch', (each) => {
    const [x, w] = inputs(each.x, each.w);
    expect(flops([conv(x, w, undefined, each.options)])).toBe(each.flops);
  });

  it.each(counted.transposed)('of a transposed convolution $x by $w $options are those of PyTorch', (each) => {
    const [x, w] = inputs(each.x, each.w);
    expect(flops([convTranspose(x, w, each.options)])).toBe(each.flops);
  });

  it.each(counted.steps)('of a step, forward and backward, of layers $widths are those of PyTorch', (each) => {
    const { batch, widths } = each;
    const [x, ...weights] = inputs([batch, widths[0]], ...widths.slice(1).map((n, i) => [n, widths[i]]));
    const output = weights.reduce((hidden, weight) => matMul(hidden, matrixTranspose(weight)), x);
    const total = reduceSum(output);
    const found = gradients(total, weights).flatMap((gradient) => gradient ?? []);
    expect(found).toHaveLength(weights.length);
    // The sum is no product: PyTorch's counter leaves it out.
    expect(flops([total, ...found]) - output.size).toBe(each.flops);
  });

  it('count one for each element that is computed, and what is read where it is reduced', () => {
    const [x, row] = inputs([4, 6], [6]);
    expect(flops([add(x, row)])).toBe(24);
    expect(flops([exp(x)])).toBe(24);
    expect(flops([gelu(x)])).toBe(24);
    expect(flops([reduceMean(x, { axes: [1] })])).toBe(24);
    expect(flops([softmax(x)])).toBe(5 * 24);
    expect(flops([layerNormalization(x, row, row)])).toBe(7 * 24);
    expect(flops([rmsNormalization(x, row)])).toBe(4 * 24);
    // The comparison; the choice is none.
    expect(flops([where(greater(x, row), x, row)])).toBe(24);
  });

  it('count nothing for what moves elements, but the sums of a scatter', () => {
    const graph = new Graph();
    const [x, ids] = [graph.input('x', [4, 6]), graph.input('ids', [4, 2], 'int32')];
    const moved = gather(reshape(matrixTranspose(x), [3, 8]), graph.constant([0, 2], [2], 'int32'), 0);
    expect(flops([cast(moved, 'float32')])).toBe(0);
    const updates = graph.input('updates', [4, 2]);
    expect(flops([scatterElements(x, ids, updates, { axis: 1 })])).toBe(0);
    expect(flops([scatterElements(x, ids, updates, { axis: 1, reduction: 'add' })])).toBe(8);
  });

  it('count the taps of windows', () => {
    const [x] = inputs([2, 3, 9, 9]);
    const y = maxPool(x, { kernel: 3 });
    expect([y.shape, flops([y])]).toEqual([[2, 3, 3, 3], 2 * 3 * 9 * 9]);
    expect(flops([averagePool(x, { kernel: 3 })])).toBe(2 * 3 * 9 * 9);
  });

  it('count a shared node once, and none that nothing needs', () => {
    const [x, y] = inputs([5, 5], [5, 5]);
    const product = matMul(x, y);
    relu(matMul(y, x));
    expect(flops([mul(product, product), add(product, x)])).toBe(2 * 125 + 25 + 25);
    expect(flops([x])).toBe(0);
  });

  it('of a convolution with a bias are an addition more for each element', () => {
    const [x, w, b] = inputs([2, 3, 8, 8], [5, 3, 3, 3], [5]);
    const without = conv(x, w);
    expect(flops([conv(x, w, b)]) - flops([without])).toBe(without.size);
  });
});
