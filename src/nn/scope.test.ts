import { describe, expect, it } from 'vitest';
import { Graph, GraphError } from '../graph/index.js';
import { InputError } from '../registry/index.js';
import { batchNorm, Scope, zeros } from './index.js';

describe('Scope', () => {
  it('tells parameters, buffers and counters apart, in order of declaration', () => {
    const graph = new Graph();
    const scope = new Scope(graph, true);
    batchNorm(scope.child('bn'), graph.input('x', [4, 3, 2, 2]));
    expect(scope.state.map(({ name, shape, kind }) => [name, shape, kind])).toEqual([
      ['bn.weight', [3], 'parameter'],
      ['bn.bias', [3], 'parameter'],
      ['bn.running_mean', [3], 'buffer'],
      ['bn.running_var', [3], 'buffer'],
      ['bn.num_batches_tracked', [], 'counter'],
    ]);
    expect([...scope.parameterInputs.keys()]).toEqual(['bn.weight', 'bn.bias']);
    expect([...scope.bufferUpdates.keys()]).toEqual(['bn.running_mean', 'bn.running_var']);
  });

  it('updates declared buffers, each once', () => {
    const graph = new Graph();
    const scope = new Scope(graph, true);
    const weight = scope.parameter('weight', [3], zeros);
    expect(() => scope.updateBuffer('weight', weight)).toThrow(GraphError);
    expect(() => scope.updateBuffer('mean', weight)).toThrow(/buffer mean: expected a declared buffer/);
    scope.buffer('mean', 3, zeros);
    scope.updateBuffer('mean', weight);
    expect(() => scope.updateBuffer('mean', weight)).toThrow(GraphError);
  });
});

describe('batchNorm', () => {
  it('reads running statistics outside training, and changes none', () => {
    const graph = new Graph();
    const scope = new Scope(graph);
    batchNorm(scope, graph.input('x', [1, 3, 1, 1]));
    expect([...scope.bufferUpdates.keys()]).toEqual([]);
  });

  it('refuses a batch in which a channel has one value', () => {
    const graph = new Graph();
    const x = graph.input('x', [1, 3, 1, 1]);
    const build = () => batchNorm(new Scope(new Graph(), true).child('layer4').child('bn1'), x);
    expect(build).toThrow(
      'layer4.bn1: batch norm cannot train on one value a channel, [1,3,1,1]; give a larger batch size or larger images',
    );
    expect(build).toThrow(InputError);
  });
});
