/**
 * Writes model directories with cards, and beside each what weightlock feeds and computes for the first test digit, for
 * `check_cards.py`:
 *
 *     npm run build && node tools/oracles/write_cards.mjs FOLDER && python tools/oracles/check_cards.py FOLDER
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dataSpec, loadData, readInputs } from '../../dist/data/index.js';
import { cardOfData, predict } from '../../dist/experiments/index.js';
import { architectures, initializeModel, saveModel } from '../../dist/models/index.js';

const [root] = process.argv.slice(2);
if (!root) throw new Error('usage: node tools/oracles/write_cards.mjs FOLDER');
const tiny = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 24, patch_size: 8 };
const some = { classes: [3, 1, 4], limit: 30, testLimit: 3 };
const cases = [
  ['vit-colour', 'vit', tiny, { channels: 3, size: 32, mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] }],
  ['vit-grey', 'vit', { ...tiny, patch_size: 7 }, {}],
  ['timm-colour', 'resnet18', {}, { channels: 3, size: 40, interpolation: 'bicubic' }],
  ['timm-grey', 'resnet18', {}, { size: 32 }],
  ['own', 'cnn', {}, {}],
];
const raw = (await loadData(dataSpec.parse({ ...some, mean: [0], std: [1] }))).test;
const pixels = Array.from(readInputs(raw, 0, 1), (value) => Math.round(value * 255));
for (const [name, architecture, keys, form] of cases) {
  const spec = dataSpec.parse({ ...some, ...form });
  const { train, test } = await loadData(spec);
  const config = { ...architectures.get(architecture).fit(train.inputShape, train.classes), ...keys };
  const model = initializeModel(architecture, config, 1);
  await saveModel(join(root, name), model, { force: true, card: cardOfData(train, spec) });
  const logits = [...(await predict(model, test, { threads: 1 }))].slice(0, 3);
  const expected = {
    pixels,
    shape: test.inputShape,
    input: [...readInputs(test, 0, 1)],
    logits,
    classes: test.classes,
  };
  await writeFile(join(root, name, 'expected.json'), JSON.stringify(expected));
}
