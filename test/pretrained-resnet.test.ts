import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Dataset, dataSpec, loadData, subset } from '../src/data/index.js';
import { loadModel, parameterSet } from '../src/models/index.js';
import { Evaluator } from '../src/training/index.js';

const data = resolve(process.env.WEIGHTLOCK_DATA ?? '../shared/data');
const present = existsSync(join(data, 'models/cifar10-resnet20'));
if (!present) console.log(`skipped: no models/cifar10-resnet20 in ${data} (set WEIGHTLOCK_DATA)`);

/** The first records of CIFAR-10's test file, normalized as the models were trained. */
async function firstTestImages(size: number): Promise<Dataset> {
  const normalization = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
  const { test } = await loadData(dataSpec.parse({ name: 'cifar10', path: join(data, 'cifar10'), ...normalization }));
  return subset(test, [...Array(size).keys()]);
}

describe.skipIf(!present)('published CIFAR-10 ResNets, by an explicit architecture', () => {
  // Accuracies by PyTorch on the same records, from the data folder's README.
  it.each([
    ['resnet20', 0.804],
    ['resnet32', 0.84],
  ])('%s is right on %f of the first 1,000 test images', async (architecture, expected) => {
    const model = await loadModel(join(data, `models/cifar10-${architecture}`), { config: { architecture } });
    const evaluator = new Evaluator(model, { threads: 2 });
    const { metrics } = await evaluator.evaluate(parameterSet(model.weights), await firstTestImages(1000));
    await evaluator.release();
    expect(metrics.accuracy).toBe(expected);
  });
});

describe.skipIf(!present)('commands on a model directory without config.json', () => {
  it('evaluate it by class, and lock it into one that has the same names and needs no --architecture', async () => {
    const root = await mkdtemp(join(tmpdir(), 'weightlock-pretrained-'));
    const source = join(data, 'models/cifar10-resnet20');
    const task = ['--data.name', 'cifar10', '--data.path', join(data, 'cifar10')];
    const few = ['--data.limit', '96'];
    const weightlock = (...args: string[]) => {
      const main = resolve('dist/cli/main.js');
      const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args, '--json'], {
        cwd: root,
        encoding: 'utf8',
      });
      expect([status, stderr]).toEqual([0, '']);
      return JSON.parse(stdout);
    };
    const named = ['--architecture', 'resnet20', ...task, '--data.test-limit', '200'];
    const { n, metrics } = weightlock('evaluate', source, ...named);
    expect([n, Object.keys(metrics).filter((name) => name.startsWith('recall.')).length]).toEqual([200, 10]);
    const short = [
      '--specdef.lead.share',
      '0',
      '--specdef.steps',
      '3',
      '--specdef.utility-floor',
      '0',
      '--specdef.max-kl',
      'null',
    ];
    expect(weightlock('lock', source, 'locked', ...named, ...few, ...short).steps).toBe(3);
    const names = async (folder: string) => [...(await loadModel(folder, config)).weights.keys()];
    const config = { config: { architecture: 'resnet20' } };
    expect(await names(join(root, 'locked'))).toEqual(await names(source));
    expect(weightlock('evaluate', 'locked', ...task, '--data.test-limit', '50').n).toBe(50);
    await rm(root, { recursive: true });
  });
});
