import { expect, it } from 'vitest';
import { initializeModel } from '../../models/index.js';
import { parseOptions } from '../../registry/index.js';
import { resetOptions, resetTransform } from './reset.js';

/** Names of the weights that are other ones after a reset by default, or of a share. */
async function drawnAnew(architecture: string, config: Record<string, unknown>, options = {}): Promise<string[]> {
  const model = initializeModel(architecture, config, 1);
  const { weights } = model;
  // Told apart by what no initialization gives, running statistics too.
  const fresh = new Map([...weights].map(([name, weight]) => [name, { ...weight, data: weight.data.map(() => 7) }]));
  const unused = () => {
    throw new Error('reset asked for more than weights');
  };
  const context = {
    ...{ model, weights, fresh: () => fresh, seed: 1, other: unused, bench: unused, charge: unused },
    tally: { flops: 0 },
  };
  const changed = await resetTransform.apply(context, resetOptions.parse(options));
  return [...changed].flatMap(([name, { data }]) => (data[0] === 7 ? [name] : []));
}

/** The layers of some weights. */
const layersOf = (names: readonly string[]) => [...new Set(names.map((name) => name.slice(0, name.lastIndexOf('.'))))];

it('draws the later half of the layers anew, whatever their names', async () => {
  expect(layersOf(await drawnAnew('cnn', { num_labels: 2 }))).toEqual(['fc1', 'fc2', 'fc3', 'fc4']);
  const bert = { hidden_size: 8, num_attention_heads: 2, intermediate_size: 8, vocab_size: 9, num_hidden_layers: 4 };
  const names = await drawnAnew('bert', { ...bert, architectures: ['BertForSequenceClassification'] });
  const blocks = (prefix: string) => [...new Set(names.flatMap((name) => name.match(`${prefix}\\.(\\d)`)?.[1] ?? []))];
  expect(blocks('encoder.layer')).toEqual(['2', '3']);
  expect(names).toContain('classifier.weight');
  expect(names.filter((name) => name.includes('embeddings'))).toEqual([]);
});

it('draws running statistics anew with the norms that they belong to, and a share where it is given', async () => {
  const names = await drawnAnew('resnet20', {}, { share: 0.34 });
  expect(new Set(names.map((name) => name.split('.').slice(0, 2).join('.')))).toEqual(
    new Set(['layer3.0', 'layer3.1', 'layer3.2', 'linear.weight', 'linear.bias']),
  );
  expect(names).toContain('layer3.1.bn2.running_var');
  expect(layersOf(await drawnAnew('cnn', { num_labels: 2 }, { share: 0 }))).toEqual(['fc4']);
});

it('takes names or a share', () => {
  expect(() => parseOptions(resetOptions, { include: ['fc*'], share: 0.5 }, 'reset')).toThrow(
    'expected one of include and share',
  );
});
