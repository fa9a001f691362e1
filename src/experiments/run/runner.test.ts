import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { dataSpec, loadData } from '../../data/index.js';
import { RunFolder } from '../../evidence/index.js';
import { initializeModel, saveModel } from '../../models/index.js';
import { trainOptions } from '../jobs/train.js';
import { silentProgress } from '../progress.js';
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

const newRunner = () =>
  new Runner(
    { engine: { threads: 1 }, seed: 1 },
    { folder, signal: new AbortController().signal, progress: silentProgress },
  );

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
