import { describe, expect, it } from 'vitest';
import { drawn } from '../../test/support/drawn-models.js';
import { textExamples } from '../../test/support/texts.js';
import { createDataset, floatDataset, type LabelledDataset } from '../data/index.js';
import { withPrograms } from '../engine/index.js';
import { sizeOf } from '../graph/index.js';
import { RandomStream } from '../linalg/index.js';
import { type Model, parameterSet } from '../models/index.js';
import { batchInput, feedsOf } from '../nn/index.js';
import { taskOf } from '../tasks/index.js';
import { noiseName, repNoiseGraph } from './repnoise/loss.js';
import { HiddenDistance } from './tar/hidden-distance.js';
import { TermBatches } from './term-batches.js';
import { addGradients, gradientsIn } from './term-gradients.js';

const engine = { threads: 1 };
const size = 4;

/** Examples that a model takes; texts of different lengths. */
function examplesFor({ inputs, head }: Model, length = 1): LabelledDataset {
  const classes = head.kind === 'classifier' ? Array.from({ length: head.size }, (_, index) => String(index)) : [];
  const facts = { name: 'examples', classes, labels: Int32Array.from({ length: size }, (_, index) => index % 2) };
  if (!inputs.x) {
    const texts = [5, 3, 4, 2].map((tokens, text) =>
      Array.from({ length: tokens }, (_, at) => 1 + ((5 * text + at) % 18)),
    );
    return createDataset(textExamples(texts, { length }), facts);
  }
  const shape = inputs.x.shape.map(Number);
  const values = new Float32Array(size * sizeOf(shape));
  new RandomStream(1, 'pixels').fillNormal(values, 0, 1);
  return floatDataset({ ...facts, shape, inputs: values });
}

const models = ['cnn', 'vit', 'distilbert', 'gpt2', 'llama'].map((name) => ({ name, model: drawn(name) }));

const batchesOf = (model: Model, length?: number) =>
  new TermBatches(model, examplesFor(model, length), { batchSize: size, seed: 1 });

// What an embedding could be trained towards is not known.
const trainable = models.filter(({ model }) => taskOf(model).loss);

describe.each(trainable)('the terms of RepNoise on $name', ({ model }) => {
  const task = taskOf(model);
  const isText = model.inputs.x === undefined;

  it('reach its weights, and padding says nothing', async () => {
    const { specs, batch } = batchesOf(model).at(0);
    await withPrograms(engine, async (programs) => {
      const weights = { noiseWeight: 1, ascentWeight: 1 };
      const program = await programs.get('', () => repNoiseGraph(model, task, specs, weights));
      const term = async (padding: number) => {
        const feeds = feedsOf(batch, parameterSet(model.weights));
        for (const [name, { shape }] of program.inputs) {
          const layer = /^batch\/noise (\d+)$/.exec(name)?.[1];
          if (layer === undefined) continue;
          const noise = new Float32Array(sizeOf(shape));
          new RandomStream(1, name).fillNormal(noise, 0, 1);
          const mask = batch.attention_mask;
          const width = shape[2];
          if (isText) {
            for (let at = 0; at < noise.length; at++) if (mask[Math.floor(at / width)] === 0n) noise[at] = padding;
          }
          feeds[batchInput(noiseName(Number(layer)))] = noise;
        }
        const results = await program.run(feeds);
        const found = gradientsIn(results);
        expect(found.some(([, values]) => values.some((value) => value !== 0))).toBe(true);
        expect(found.every(([, values]) => values.every((value) => Number.isFinite(value)))).toBe(true);
        return Number(results.term[0]);
      };
      expect(await term(7)).toBe(await term(0));
    });
  });
});

describe.each(models)('the distance of hidden layers of $name', ({ model }) => {
  const isText = model.inputs.x === undefined;

  it('is that from the original, whatever is padding', async () => {
    const original = new Map(
      [...parameterSet(model.weights)].map(([name, values]) => [name, values.map((x) => 0.9 * x)]),
    );
    const found = async (length?: number) => {
      const hidden = new HiddenDistance(model, original, batchesOf(model, length), { weight: 1, engine });
      const gradients = new Map([...model.weights].map(([name, { data }]) => [name, new Float32Array(data.length)]));
      const { hiddenDistance } = await hidden.pull(parameterSet(model.weights), gradients, 0);
      await hidden.release();
      expect([...gradients.values()].some((values) => values.some((value) => value !== 0))).toBe(true);
      return hiddenDistance;
    };
    const distance = await found();
    expect(distance).toBeGreaterThan(0);
    if (isText) expect((await found(8)) / distance).toBeCloseTo(1, 5);
  });
});

it('gradients that are no numbers are not added', () => {
  const to = new Map([['w', Float32Array.of(1, 2)]]);
  expect(addGradients(to, [['w', Float32Array.of(1, Number.NaN)]])).toBe(false);
  expect(
    addGradients(
      to,
      [
        ['w', Float32Array.of(1, 1)],
        ['other', Float32Array.of(1)],
      ],
      2,
    ),
  ).toBe(true);
  expect(to.get('w')).toEqual(Float32Array.of(3, 4));
});
