// Our side of the benchmarks of language models: the parts that training, locks, inspection and generation are made of.
import { join } from 'node:path';
import { createDataset, TextExamples } from '../dist/data/index.js';
import { inspectTensors, openMatrices } from '../dist/experiments/index.js';
import { TextGenerator } from '../dist/generation/index.js';
import { RandomStream } from '../dist/linalg/index.js';
import { loadModel, parameterSet } from '../dist/models/index.js';
import { createObjective, Evaluator, optimizers, RowUpdates } from '../dist/training/index.js';
import { languageModels } from './language-models.mjs';

const batchSize = 8;
const tokens = 64;
/** Texts of the data set. */
const examples = 256;
/** Tokens that generation adds to a prompt of as many as a text has: a step of its benchmark. */
const generated = 32;
const learningRate = 1e-5;

const folderOf = (name) => join(process.env.WEIGHTLOCK_BENCH_MODELS, name);

/** Random tokens, each text as long as the others, as on PyTorch's side. */
function randomTexts(vocabulary) {
  const stream = new RandomStream(0, 'texts');
  const encodings = Array.from({ length: examples }, () => {
    const ids = Array.from({ length: tokens }, () => 10 + Math.floor((vocabulary - 10) * stream.uniform()));
    return { ids, mask: ids.map(() => 1), typeIds: ids.map(() => 0) };
  });
  const labels = Int32Array.from(encodings, (_, index) => index % 2);
  return createDataset(new TextExamples(encodings, { padId: 0 }), { name: 'noise', labels, classes: ['0', '1'] });
}

/** Model, objective and optimizer; `keeps`: with the KL divergence to the model as it is for a loss. */
export async function preparedLanguage(name, engine, { keeps = false, recompute = false } = {}) {
  const model = await loadModel(folderOf(name));
  const dataset = randomTexts(languageModels[name].config.vocab_size);
  const params = parameterSet(model.weights);
  let reference;
  if (keeps) {
    const evaluator = new Evaluator(model, engine);
    reference = await evaluator.original(params, dataset);
    await evaluator.release();
  }
  const optimizer = optimizers.get('adamw').create();
  const loss = keeps ? { task: 0, divergence: 1 } : undefined;
  // A lock pushes tables of embeddings as wholes, since they are matrices.
  const byRows = keeps ? undefined : () => true;
  const objective = await createObjective({
    ...{ model, dataset, batchSize, seed: 0, engine },
    ...{ loss, reference, recompute, byRows },
  });
  return {
    model,
    params,
    objective,
    optimizer,
    state: optimizer.init(params, objective.shapes),
    alpha: 0.99,
    learningRate,
  };
}

/** A training step, as `runSteps` does it. */
export async function languageTrainStep(name, engine, timed, options) {
  const { params, objective, optimizer, state } = await preparedLanguage(name, engine, options);
  const { shapes } = objective;
  const byRows = objective.rows && new RowUpdates({ optimizer, params, shapes, state, rateAt: () => learningRate }, 0);
  let count = 0;
  const step = async () => {
    const named = await objective.rows?.(count);
    if (named) await timed('rows', () => byRows.prepare(named, count));
    const { loss, gradients } = await timed('gather and graph', () => objective.compute(params, count));
    await timed('optimizer', () =>
      named ? byRows.update(named, gradients, count) : optimizer.update(gradients, state, params, learningRate),
    );
    count++;
    return loss;
  };
  return { step, release: () => objective.release() };
}

/** The eight largest singular values of every matrix, norms and digests, read from the files. */
export function inspectStep(name) {
  const step = async () => {
    const { tensors } = await openMatrices(folderOf(name));
    const { matrices } = await inspectTensors(tensors, { topK: 8 });
    return matrices.reduce((sum, { sigma }) => sum + sigma[0], 0);
  };
  return { step, release: () => undefined };
}

/** Greedy generation after a prompt of random tokens. */
export async function generateStep(name, engine) {
  const model = await loadModel(folderOf(name));
  const generator = new TextGenerator(model, parameterSet(model.weights), engine);
  const prompt = randomTexts(languageModels[name].config.vocab_size).examples.tokens(0);
  const step = async () => {
    let count = 0;
    for await (const _ of generator.stream({ prompt: [...prompt], maxTokens: generated })) count++;
    return count;
  };
  return { step, release: () => generator.release() };
}
