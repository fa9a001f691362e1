// node tools/oracles/write_models.mjs DIR: writes model directories and their logits for vision_models.py to check.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initializeModel, parameterSet, saveModel } from '../../dist/models/index.js';
import { createObjective, Evaluator, optimizers } from '../../dist/training/index.js';

/** As in vision_models.py. */
function hashed(seed, length) {
  return Float32Array.from({ length }, (_, i) => {
    let x = (Math.imul(i, 0x9e3779b1) + seed) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    x ^= x >>> 16;
    return (x >>> 8) / 2 ** 23 - 1;
  });
}

const vit = { hidden_size: 24, num_hidden_layers: 2, num_attention_heads: 3, intermediate_size: 40, patch_size: 4 };
const models = [
  ['resnet18', 'resnet18', { num_classes: 10, image_size: 64 }],
  ['resnet18-grey', 'resnet18', { num_classes: 10, image_size: 32, in_chans: 1 }],
  ['resnet18-cifar', 'resnet18', { num_classes: 10, image_size: 16, stem: 'cifar' }],
  ['resnet34', 'resnet34', { num_classes: 4, image_size: 64 }],
  ['resnet50', 'resnet50', { num_classes: 4, image_size: 64 }],
  ['resnet20', 'resnet20', { image_size: 16 }],
  ['vit', 'vit', { image_size: 12, num_channels: 2, id2label: { 0: 'cat', 1: 'dog', 2: 'owl' }, ...vit }],
];

const inputSeed = 7;
for (const [name, architecture, config] of models) {
  const model = initializeModel(architecture, config, 1);
  const inputShape = model.architecture.inputShape(model.config);
  const input = [4, ...inputShape];
  const inputs = hashed(
    inputSeed,
    input.reduce((a, b) => a * b, 1),
  );
  const classes = Array.from({ length: model.architecture.classes(model.config) }, (_, label) => `${label}`);
  const dataset = { name, inputShape, inputs, labels: Int32Array.from([0, 1, 2, 0]), classes, size: 4 };
  const params = parameterSet(model.weights);
  // Running statistics that are not the first ones, and biases that are not zero.
  const objective = await createObjective({ model, dataset, batchSize: 4, seed: 0 });
  const optimizer = optimizers.get('sgd').create();
  const state = optimizer.init(params);
  for (let step = 0; step < 3; step++) {
    optimizer.update((await objective.compute(params, step)).gradients, state, params, 0.01);
  }
  const evaluator = new Evaluator(model);
  const logits = [...(await evaluator.logits(params, dataset))];
  const folder = join(process.argv[2], name);
  await saveModel(folder, model, { force: true });
  writeFileSync(join(folder, 'logits.json'), JSON.stringify({ input, inputSeed, logits }));
  await Promise.all([objective.release(), evaluator.release()]);
}
