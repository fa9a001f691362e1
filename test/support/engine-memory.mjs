// Resident memory, MiB, while a CNN is trained and programs come and go. Run with --expose-gc: node … STEPS CYCLES.
import { floatDataset } from '../../dist/data/index.js';
import { initializeModel, parameterSet } from '../../dist/models/index.js';
import { createObjective, optimizers } from '../../dist/training/index.js';

const [steps, cycles] = process.argv.slice(2).map(Number);
const size = 256;
const dataset = floatDataset({
  name: 'waves',
  shape: [1, 28, 28],
  inputs: Float32Array.from({ length: size * 784 }, (_, index) => Math.sin(index)),
  labels: Int32Array.from({ length: size }, (_, index) => index % 5),
  classes: ['0', '1', '2', '3', '4'],
});
const model = initializeModel('cnn', { num_labels: 5 }, 0);
const params = parameterSet(model.weights);
const optimizer = optimizers.get('adamw').create();
const state = optimizer.init(params);
const objectiveOf = () => createObjective({ model, dataset, batchSize: 64, seed: 0, engine: { threads: 1 } });

function resident() {
  globalThis.gc();
  globalThis.gc();
  return process.memoryUsage.rss() / 2 ** 20;
}

async function train(objective, count) {
  for (let step = 0; step < count; step++) {
    const { gradients } = await objective.compute(params, step);
    await optimizer.update(gradients, state, params, 1e-3);
  }
}

async function compileAndRelease(count) {
  for (let cycle = 0; cycle < count; cycle++) {
    const objective = await objectiveOf();
    await train(objective, 1);
    await objective.release();
  }
}

const objective = await objectiveOf();
// Compiling JavaScript and growing its heap takes some 20 MiB in the first 500 steps.
await train(objective, 600);
const beforeSteps = resident();
await train(objective, steps);
const afterSteps = resident();
await objective.release();
await compileAndRelease(30);
const beforeCycles = resident();
await compileAndRelease(cycles);
console.log(JSON.stringify({ bySteps: afterSteps - beforeSteps, byCycles: resident() - beforeCycles }));
