import { describe, expect, it } from 'vitest';
import { cloneWeights, initializeModel } from '../models/index.js';
import { MovedWeights, weightsMoved } from './weights-moved.js';

const model = initializeModel('mlp', { num_labels: 3, hidden_sizes: [8, 6] }, 1);
const norm = (values: Iterable<number>) => Math.hypot(...values);
const all = (weights: typeof model.weights) => [...weights.values()].flatMap(({ data }) => [...data]);

describe('how far weights moved', () => {
  it('is the Frobenius norm of the change over that of the weights, of all and of the matrix that moved most', () => {
    const weights = cloneWeights(model.weights);
    weights.get('fc2.weight')?.data.forEach((value, at, data) => {
      data[at] = 1.5 * value;
    });
    weights.get('fc3.weight')?.data.forEach((value, at, data) => {
      data[at] = -value;
    });
    const bias = weights.get('fc1.bias')?.data as Float32Array;
    bias[0] += 40;
    const found = weightsMoved(model, weights);
    expect([found.changed, found.of]).toEqual([3, 6]);
    const [before, after] = [all(model.weights), all(weights)];
    expect(found.distance).toBeCloseTo(norm(after.map((value, at) => value - before[at])) / norm(before), 5);
    // A bias is no matrix, however far it moved.
    expect(found.most).toEqual({ name: 'fc3.weight', distance: 2 });
  });

  it('is nothing where nothing changed, and the same to the bit whatever order tensors come in', () => {
    expect(weightsMoved(model, cloneWeights(model.weights))).toEqual({ changed: 0, of: 6, distance: 0 });
    const weights = cloneWeights(model.weights);
    for (const { data } of weights.values()) data[0] += 0.1;
    const moved = new MovedWeights(model);
    for (const [name, { data }] of [...model.weights].reverse()) moved.add(name, data, weights.get(name)?.data ?? data);
    expect(moved.result()).toEqual(weightsMoved(model, weights));
  });

  it('leaves running statistics and counters aside', () => {
    const net = initializeModel('resnet20', {}, 1);
    const weights = cloneWeights(net.weights);
    for (const [name, { data }] of weights) if (/running|tracked/.test(name)) data.fill(1000);
    expect(weightsMoved(net, weights)).toMatchObject({ changed: 0, distance: 0 });
  });
});
