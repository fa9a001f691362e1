import { existsSync } from 'node:fs';
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
    const { accuracy } = await evaluator.evaluate(parameterSet(model.weights), await firstTestImages(1000));
    await evaluator.release();
    expect(accuracy).toBe(expected);
  });
});
