// Our side of each benchmark: a function that does one step, made of the parts that training and locking use.
import { floatDataset } from '../dist/data/index.js';
import { compile, ProgramCache } from '../dist/engine/index.js';
import { Graph, gradients, meanSquaredError } from '../dist/graph/index.js';
import { RandomStream } from '../dist/linalg/index.js';
import { specDefStep, tripletSource } from '../dist/locks/index.js';
import { initializeModel, initializeWeights, parameterSet, weightMatrices } from '../dist/models/index.js';
import { Scope, weightInput } from '../dist/nn/index.js';
import { createObjective, optimizers } from '../dist/training/index.js';
import { generateStep, inspectStep, languageTrainStep, preparedLanguage } from './language.mjs';
import { languageModels } from './language-models.mjs';
import { transformerBlock } from './transformer.mjs';

/** Models of the benchmarks, what they see, and how they are trained. */
const networks = {
  cnn: {
    architecture: 'cnn',
    config: { num_labels: 5 },
    shape: [1, 28, 28],
    classes: 5,
    batchSize: 64,
    optimizer: 'adamw',
  },
  resnet18: {
    architecture: 'resnet18',
    config: { num_classes: 10, image_size: 32 },
    shape: [3, 32, 32],
    classes: 10,
    batchSize: 32,
    optimizer: 'sgd',
  },
  'resnet18-cifar': {
    architecture: 'resnet18',
    config: { num_classes: 10, stem: 'cifar' },
    shape: [3, 32, 32],
    classes: 10,
    batchSize: 32,
    optimizer: 'sgd',
  },
};

/** A data set of noise in memory, as on PyTorch's side. */
function randomImages(size, shape, classes) {
  const inputs = new Float32Array(size * shape.reduce((product, length) => product * length, 1));
  new RandomStream(0, 'images').fillNormal(inputs, 0, 1);
  return floatDataset({
    name: 'noise',
    shape,
    inputs,
    labels: Int32Array.from({ length: size }, (_, index) => index % classes),
    classes: Array.from({ length: classes }, (_, label) => String(label)),
  });
}

/** Measures the phases of a step where asked to. */
function clock(phases) {
  return async (name, work) => {
    if (!phases) return work();
    const start = performance.now();
    const result = await work();
    phases[name] = (phases[name] ?? 0) + performance.now() - start;
    return result;
  };
}

async function prepared(name, engine) {
  if (name in languageModels) return preparedLanguage(name, engine, { keeps: true });
  const { architecture, config, shape, classes, batchSize, optimizer } = networks[name];
  const model = initializeModel(architecture, config, 0);
  const dataset = randomImages(1024, shape, classes);
  const objective = await createObjective({ model, dataset, batchSize, seed: 0, engine });
  const params = parameterSet(model.weights);
  const update = optimizers.get(optimizer).create();
  return {
    model,
    params,
    objective,
    optimizer: update,
    state: update.init(params, objective.shapes),
    alpha: 0.1,
    learningRate: 1e-3,
  };
}

async function trainStep(name, engine, phases) {
  const timed = clock(phases);
  if (name in languageModels) return languageTrainStep(name, engine, timed);
  const { params, objective, optimizer, state } = await prepared(name, engine);
  let count = 0;
  const step = async () => {
    const { loss, gradients } = await timed('gather and graph', () => objective.compute(params, count++));
    await timed('optimizer', () => optimizer.update(gradients, state, params, 1e-3));
    return loss;
  };
  return { step, release: () => objective.release() };
}

async function lockStep(name, engine, phases) {
  const { model, params, objective, optimizer, state, alpha, learningRate } = await prepared(name, engine);
  const timed = clock(phases);
  const programs = new ProgramCache({ threads: 1 });
  const matrices = weightMatrices(model.weights).map((matrix) => {
    const svd = tripletSource(matrix, 4, 0, { programs });
    if (!phases) return { ...matrix, svd };
    const triplets = async (values) => {
      const start = performance.now();
      const result = await svd.triplets(values);
      phases.spectra = (phases.spectra ?? 0) + performance.now() - start;
      return result;
    };
    return { ...matrix, svd: { ...svd, triplets } };
  });
  const retain = { compute: (...args) => timed('gather and graph', () => objective.compute(...args)) };
  const start = new Map([...params].map(([key, values]) => [key, values.slice()]));
  let count = 0;
  const step = async () => {
    // Locked for thousands of steps on noise, weights overflow: begin again now and then, as PyTorch's side does.
    if (count % 100 === 0) for (const [key, values] of start) params.get(key).set(values);
    const result = await timed('whole lock step', () =>
      specDefStep(params, count++, { retain, matrices, alpha, programs }),
    );
    await timed('optimizer', () => optimizer.update(result.gradients, state, params, learningRate));
    return result.loss;
  };
  return { step, release: () => Promise.all([objective.release(), programs.release()]) };
}

async function transformerStep(kind, engine, phases) {
  const graph = new Graph();
  const scope = new Scope(graph);
  const shape = [16, 64, 256];
  const x = graph.input('x', shape);
  let h = x;
  for (let layer = 0; layer < 4; layer++) h = transformerBlock(scope.child(`${layer}`), h, { heads: 4, hidden: 1024 });
  const loss = meanSquaredError(h, graph.input('target', shape));
  const found = gradients(loss, [...scope.parameterInputs.values()]);
  const outputs = { loss };
  [...scope.parameterInputs.keys()].forEach((name, index) => {
    outputs[`grad ${name}`] = found[index];
  });
  const program = await compile(outputs, engine);
  const params = parameterSet(initializeWeights(scope.state, 0));
  const optimizer = optimizers.get(kind).create();
  const state = optimizer.init(params);
  const feeds = { x: new Float32Array(16 * 64 * 256), target: new Float32Array(16 * 64 * 256) };
  new RandomStream(0, 'x').fillNormal(feeds.x, 0, 1);
  new RandomStream(0, 'target').fillNormal(feeds.target, 0, 1);
  for (const [name, values] of params) feeds[weightInput(name)] = values;
  const timed = clock(phases);
  const step = async () => {
    const results = await timed('graph', () => program.run(feeds));
    const grads = new Map([...params.keys()].map((name) => [name, results[`grad ${name}`]]));
    await timed('optimizer', () => optimizer.update(grads, state, params, kind === 'adamw' ? 1e-4 : 1e-3));
    return results.loss[0];
  };
  return { step, release: () => program.release() };
}

const makers = {
  train: trainStep,
  recompute: (name, engine, phases) => languageTrainStep(name, engine, clock(phases), { recompute: true }),
  lock: lockStep,
  transformer: transformerStep,
  inspect: inspectStep,
  generate: generateStep,
};

/** Makes the step of a benchmark and what frees it; `phases` collects milliseconds by phase. */
export function makeStep(name, engine, phases) {
  const [kind, ...rest] = name.split(':');
  return makers[kind](rest[0], engine, phases);
}
