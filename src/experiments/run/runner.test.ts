import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { dataSpec, loadData } from '../../data/index.js';
import { RunFolder } from '../../evidence/index.js';
import { lockMethods } from '../../locks/index.js';
import { initializeModel, saveModel } from '../../models/index.js';
import { InterruptedError } from '../../registry/index.js';
import { trainOptions } from '../jobs/train.js';
import { type PhaseProgress, silentProgress } from '../progress.js';
import { Runner } from './runner.js';

let root: string;
let folder: RunFolder;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-runner-'));
  folder = await RunFolder.open({ root, command: 'reproduce', config: {} });
});
afterEach(async () => {
  await folder.close();
  await rm(root, { recursive: true, force: true });
});

const newRunner = ({ signal = new AbortController().signal, progress = silentProgress } = {}) =>
  new Runner({ engine: { threads: 1 }, seed: 1 }, { folder, signal, progress });

it('a part that was interrupted took the seconds of both runs, and those only', async () => {
  const source = join(root, 'source');
  const adopt = (runner: Runner) => runner.adopt({ name: 'net' }, source);
  await expect(adopt(newRunner())).rejects.toThrow('source');
  const soFar = folder.file('seconds-net-so-far.json');
  expect(Number(await readFile(soFar, 'utf8'))).toBeGreaterThan(0);

  await writeFile(soFar, '1000\n');
  await expect(adopt(newRunner())).rejects.toThrow('source');
  expect(Number(await readFile(soFar, 'utf8'))).toBeGreaterThan(1000);

  await saveModel(source, initializeModel('mlp', { input_shape: [4], hidden_sizes: [3], num_labels: 2 }, 1));
  const runner = newRunner();
  await adopt(runner);
  expect(runner.seconds.net).toBeGreaterThan(1000);
  expect(runner.seconds.net).toBeLessThan(2000);

  const later = newRunner();
  await adopt(later);
  expect(later.seconds).toEqual(runner.seconds);
});

it('trains from other weights of a model where it is given some, and leaves the model that it began with', async () => {
  const data = await loadData(dataSpec.parse({ classes: [0, 1], limit: 16, testLimit: 8 }));
  const options = trainOptions.parse({ steps: 1, batchSize: 8, learningRate: 1e-30 });
  const newModel = (seed: number) => initializeModel('cnn', { num_labels: 2 }, seed);
  const [own, other] = [newModel(1), newModel(2)];
  const begin = async () => structuredClone(other.weights);
  const { model } = await newRunner().train({ name: 'net' }, { from: async () => own, begin, data, options });
  expect(model.weights).toEqual(other.weights);
  expect(own.weights).toEqual(newModel(1).weights);
});

it('makes a part anew where what lies under its name is another, with its checkpoint', async () => {
  const data = await loadData(dataSpec.parse({ classes: [0, 1], limit: 16, testLimit: 8 }));
  const course = { steps: 4, batchSize: 8, learningRate: 0.01 };
  const stop = new AbortController();
  const train = (runner: Runner, more: Record<string, unknown> = {}) =>
    runner.train(
      { name: 'net' },
      {
        ...{ from: async () => initializeModel('cnn', { num_labels: 2 }, 1), data },
        options: trainOptions.parse({ ...course, ...more }),
      },
    );
  const stopped = newRunner({
    signal: stop.signal,
    progress: { ...silentProgress, advance: () => stop.abort() },
  });
  await expect(train(stopped)).rejects.toThrow(InterruptedError);
  const { model: faster } = await train(newRunner(), { learningRate: 0.02 });
  const { model: slower } = await train(newRunner());
  const { model: again } = await train(newRunner());
  expect(slower.weights).not.toEqual(faster.weights);
  expect(again.weights).toEqual(slower.weights);

  const locked = (from: typeof slower) =>
    newRunner().lock(
      { name: 'locked' },
      { from, method: 'rebalance', options: lockMethods.get('rebalance').options.parse({}) },
    );
  const [first, other] = [await locked(faster), await locked(slower)];
  expect(first.model.weights).not.toEqual(other.model.weights);

  const fresh = await RunFolder.open({ root, command: 'reproduce', config: { fresh: true } });
  const own = new Runner(
    { engine: { threads: 1 }, seed: 1 },
    { folder: fresh, signal: new AbortController().signal, progress: silentProgress },
  );
  expect((await train(own, { learningRate: 0.02 })).model.weights).toEqual(faster.weights);
  await fresh.close();
});

it('measures what a model is worth once for all its copies in a row, and shows how far that is', async () => {
  const { test } = await loadData(dataSpec.parse({ classes: [0, 1], testLimit: 8 }));
  const newModel = (seed: number) => initializeModel('cnn', { num_labels: 2 }, seed);
  const [model, copy] = [newModel(1), newModel(2)];
  const shown: unknown[] = [];
  const progress: PhaseProgress = {
    ...silentProgress,
    begin: (...given) => shown.push(given),
    advanceBy: (...given) => shown.push(given),
    end: (what) => shown.push(what),
  };
  const runner = newRunner({ progress });
  const [first, again] = [
    await runner.utility(model, copy, test, 'locked'),
    await runner.utility(model, newModel(3), test, 'locked-2'),
  ];
  expect(shown.slice(0, 2)).toEqual([
    ['locked: utility', 48, undefined],
    [8, '8 of 48 examples'],
  ]);
  expect(shown.slice(-5)).toEqual([
    ['locked-2: utility', 24, undefined],
    ...[8, 16, 24].map((done) => [8, `${done} of 24 examples`]),
    '24 examples',
  ]);
  const alone = newRunner();
  expect(again).toEqual(await alone.utility(model, newModel(3), test, 'alone'));
  expect(again.before).toEqual(first.before);
  expect(again.after).not.toEqual(first.after);
  // Another model is another matter.
  expect((await runner.utility(copy, model, test, 'other')).before).not.toEqual(first.before);
});

it('measures no further once it is interrupted', async () => {
  const { test } = await loadData(dataSpec.parse({ classes: [0, 1], testLimit: 8 }));
  const model = initializeModel('cnn', { num_labels: 2 }, 1);
  const runner = newRunner({ signal: AbortSignal.abort() });
  for (const measured of [runner.evaluate(model, test), runner.predict(model, test)]) {
    await expect(measured).rejects.toThrow(new InterruptedError('interrupted after 0 of 8 examples'));
  }
  await expect(runner.utility(model, model, test, 'locked')).rejects.toThrow(InterruptedError);
});
