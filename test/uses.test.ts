import { describe, expect, it } from 'vitest';
import { ancestors, Graph, relu, type Tensor } from '../src/graph/index.js';
import { architectures, parseConfig, smallestBatch } from '../src/models/index.js';
import { biasOf, conv2d, linear, Scope, usesOf } from '../src/nn/index.js';

/** The name of the bias of each weight, as the graph says; `?` of a weight whose uses are not known. */
function biasesOf(scope: Scope, output: Tensor): Record<string, string> {
  const nodes = ancestors([output]);
  const weights = [...scope.parameterInputs].filter(([, { rank }]) => rank > 1);
  return Object.fromEntries(
    weights.map(([name, parameter]) => {
      const uses = usesOf(nodes, parameter);
      return [name, 'unknown' in uses ? '?' : (biasOf(nodes, uses, scope.parameterInputs) ?? 'none')];
    }),
  );
}

describe('the bias of a weight', () => {
  it('is found behind products of rows and of tokens, convolutions, and those that are computed as products', () => {
    const graph = new Graph();
    const scope = new Scope(graph);
    const rows = linear(scope.child('rows'), graph.input('rows', [4, 3]), 5);
    const tokens = linear(scope.child('tokens'), graph.input('tokens', [2, 6, 3]), 5);
    const map = conv2d(scope.child('map'), graph.input('map', [2, 3, 9, 9]), 5, 3);
    // Of so few places and so many channels: a product.
    const tiny = conv2d(scope.child('tiny'), graph.input('tiny', [2, 16, 3, 3]), 5, 3);
    const bare = linear(scope.child('bare'), graph.input('bare', [4, 3]), 5, { bias: false });
    const all = { rows, tokens, map, tiny, bare };
    for (const [name, output] of Object.entries(all)) {
      const expected = name === 'bare' ? 'none' : `${name}.bias`;
      expect(biasesOf(scope, relu(output))[`${name}.weight`]).toBe(expected);
    }
  });

  it('is none of what is used twice', () => {
    const graph = new Graph();
    const scope = new Scope(graph);
    const shared = scope.child('shared');
    const once = linear(shared, graph.input('x', [4, 3]), 3);
    expect(biasesOf(scope, once)).toEqual({ 'shared.weight': 'shared.bias' });
    expect(biasesOf(scope, linear(shared, once, 3))).toEqual({ 'shared.weight': 'none' });
  });

  it('is that of the layer in the networks of the registry', () => {
    for (const name of ['cnn', 'mlp', 'vit', 'gpt2', 'bert']) {
      const model = parseConfig(architectures.get(name), {}, 'test');
      const { scope, outputs } = model.build(smallestBatch(model));
      const found = biasesOf(scope, Object.values(outputs)[0]);
      const layers = scope.layers.filter(({ weight }) => found[weight] !== '?');
      expect(layers.length).toBeGreaterThan(2);
      for (const { weight, bias = 'none' } of layers) expect(found[weight], name).toBe(bias);
    }
  });
});
