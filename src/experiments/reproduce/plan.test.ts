import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';
import { createDataset, dataSpec, loadData, TextExamples } from '../../data/index.js';
import { specdef } from '../../locks/index.js';
import { initializeModel, loadModel } from '../../models/index.js';
import { trainOptions } from '../jobs/train.js';
import { nothingFound, printedSpecDef, runnerOf } from './common.js';
import { planReproduction } from './plan.js';
import { prediction } from './prediction.js';
import type { Reproduction } from './reproduction.js';
import { singleSetting, sweep } from './sweep.js';

const limits = { limit: 40, testLimit: 10 };
const budget = { steps: 20, searchSteps: 5, batchSize: 8, searchSeeds: [11], seeds: [1, 2], evaluationSpacing: 2 };

/** Trains, trains on from disk, locks, attacks and measures: what experiments do. */
const experiment: Reproduction = {
  name: 'planned',
  description: 'for tests',
  data: [],
  scales: ['smoke'],
  canSkipSweep: true,
  async run(scale, context) {
    const runner = runnerOf(context);
    const data = await loadData(dataSpec.parse({ classes: [0, 1], ...limits }));
    const options = trainOptions.parse({ steps: 1_000_000, batchSize: 8 });
    const from = async () => initializeModel('cnn', { num_labels: 2 }, 1);
    const begin = () => Promise.reject(new Error('expected no other weights to begin with'));
    const first = await runner.train({ name: 'first' }, { from, begin, data, options });
    const again = { from: () => loadModel(first.path), data, options: { ...options, steps: 7 } };
    const unlocked = await runner.train({ name: 'unlocked' }, again);
    const lock = { from: unlocked.model, data, method: specdef, options: printedSpecDef({ steps: 30, batchSize: 8 }) };
    const locked = await runner.lock({ name: 'locked' }, lock);
    const paths = { unlocked: unlocked.path, locked: locked.path };
    const goal = { label: 'other', data: dataSpec.parse({ classes: [2, 3], ...limits }), target: 0.9 };
    const { rows } = await runner.attack(paths, singleSetting(goal, { name: 'sgd', learningRate: 0.1 }, budget));
    await runner.attack(paths, sweep(goal, [{ name: 'sgd', decades: [-1, -2] }], budget));
    const read = sweep({ ...goal, label: 'read' }, [{ name: 'sgd', decades: [-1] }], budget, {
      attacks: ['white-box'],
    });
    await runner.attack(paths, { ...read, from: ['locked'] });
    const utility = await runner.utility(unlocked.model, locked.model, data.test, 'locked');
    expect(utility.after.float32.n).toBe(8);
    return {
      ...{ name: 'planned', title: '', scale, setup: [], tables: [], attacks: [], claims: [], seconds: {} },
      utility: {},
      notes: rows.map(({ start }) => start),
    };
  },
};

it('plans what an experiment would do by its own code, computes nothing of it and leaves nothing behind', async () => {
  const before = await readdir(tmpdir());
  const signal = new AbortController().signal;
  const context = { engine: { threads: 1 }, workers: 1, signal, data: '', seed: 1, sweep: 'full' as const };
  const parts = await planReproduction(experiment, 'smoke', context);
  expect(parts.map(({ name, runs, steps }) => [name, runs, steps])).toEqual([
    ['train first', 1, 1_000_000],
    ['train unlocked', 1, 7],
    ['lock locked', 1, 30],
    ['attack other-single', 4, 80],
    // Three starts: two rates and two beside the best of 5 steps each, two seeds of 20; five regressions on these and the search's seed take none.
    ['attack other', 3 * 6 + 5 * 3, 3 * (4 * 5 + 2 * 20)],
    // White-box use and the floor's frozen use: time, but no steps.
    ['attack read', 2 * 3, 0],
  ]);
  for (const { seconds } of parts) expect(seconds).toBeGreaterThan(0);
  for (const { bytes, keptBytes } of parts.filter(({ steps }) => steps > 0)) {
    expect(bytes).toBeGreaterThan(0);
    // Images are all of one size.
    expect(keptBytes).toBe(0);
  }
  const left = (await readdir(tmpdir())).filter((name) => name.startsWith('weightlock-plan-'));
  expect(left.filter((name) => !before.includes(name))).toEqual([]);
});

it('plans a lock of a model that has nothing to train towards', async () => {
  const encodings = [19, 3, 11, 18].map((length) => {
    const ids = Array.from({ length }, (_, place) => 1 + place);
    return { ids, mask: ids.map(() => 1), typeIds: ids.map(() => 0) };
  });
  const facts = { name: 'texts', labels: new Int32Array(encodings.length), classes: [] };
  const texts = createDataset(new TextExamples(encodings, { padId: 0 }), facts);
  const data = { train: texts, validation: texts };
  const keys = { vocab_size: 20, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 8 };
  const from = initializeModel('bert', { ...keys, architectures: ['BertModel'] }, 1);
  expect(from.head.kind).toBe('embedding');
  const signal = new AbortController().signal;
  const context = { engine: { threads: 1 }, workers: 1, signal, data: '', seed: 1, sweep: 'full' as const };
  const embeddings: Reproduction = {
    ...experiment,
    async run(scale, own) {
      const options = printedSpecDef({ steps: 3, batchSize: 2, retain: { task: 0, kl: 1 } });
      await runnerOf(own).lock({ name: 'locked' }, { from, data, method: specdef, options });
      return nothingFound({ name: 'planned', title: '', scale });
    },
  };
  const [part] = await planReproduction(embeddings, 'smoke', context);
  expect(part).toMatchObject({ name: 'lock locked', runs: 1, steps: 3 });
  expect(part.seconds).toBeGreaterThan(0);
  // Texts of three lengths, as they are padded: the longest has the largest program.
  expect(part.keptBytes).toBeGreaterThan(0.5 * part.bytes);
  expect(part.keptBytes).toBeLessThan(2 * part.bytes);
});

it('measures the pace of a step once for all runners of an experiment', async () => {
  const signal = new AbortController().signal;
  const context = { engine: { threads: 1 }, workers: 1, signal, data: '', seed: 1, sweep: 'full' as const };
  const several: Reproduction = {
    ...experiment,
    async run(scale, own) {
      const data = await loadData(dataSpec.parse({ classes: [0, 1], ...limits }));
      const options = trainOptions.parse({ steps: 4, batchSize: 8 });
      const from = async () => initializeModel('cnn', { num_labels: 2 }, 1);
      for (const seed of [1, 2, 3])
        await runnerOf({ ...own, seed }).train({ name: `seed ${seed}` }, { from, data, options });
      return nothingFound({ name: 'planned', title: '', scale });
    },
  };
  const [first, ...others] = await planReproduction(several, 'smoke', context);
  expect(others.map(({ seconds }) => seconds)).toEqual([first.seconds, first.seconds]);
});

it('of forecasts counts those on CNNs too, which take the most time', async () => {
  const signal = new AbortController().signal;
  const context = { engine: { threads: 1 }, workers: 1, signal, data: '', seed: 1, sweep: 'full' as const };
  const parts = await planReproduction(prediction, 'smoke', context);
  const found = parts.find(({ name }) => name === 'predict CNNs');
  // Two places, both optimizers: descents of 100 steps, and 20 rates of 50.
  expect(found).toMatchObject({ runs: 4, steps: 4 * (100 + 20 * 50) });
  expect(found?.seconds).toBeGreaterThan(0);
  expect(found?.bytes).toBeGreaterThan(1e6);
});
