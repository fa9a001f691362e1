import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Dataset } from '../src/data/index.js';
import { loadModel, parameterSet } from '../src/models/index.js';
import { Evaluator } from '../src/training/index.js';

const data = resolve(process.env.WEIGHTLOCK_DATA ?? '../shared/data');
const present = existsSync(join(data, 'models/cifar10-resnet20'));
if (!present) console.log(`skipped: no models/cifar10-resnet20 in ${data} (set WEIGHTLOCK_DATA)`);

/** The first records of CIFAR-10's test file: a label and 3×32×32 bytes each, normalized as the models were trained. */
function firstTestImages(size: number): Dataset {
  const bytes = gunzipSync(readFileSync(join(data, 'cifar10/test_batch.bin.gz')));
  const mean = [0.485, 0.456, 0.406];
  const deviation = [0.229, 0.224, 0.225];
  const pixels = 3 * 1024;
  return {
    name: 'cifar10 test',
    inputShape: [3, 32, 32],
    inputs: Float32Array.from({ length: size * pixels }, (_, i) => {
      const channel = Math.floor((i % pixels) / 1024);
      const byte = bytes[Math.floor(i / pixels) * (pixels + 1) + 1 + (i % pixels)];
      return (byte / 255 - mean[channel]) / deviation[channel];
    }),
    labels: Int32Array.from({ length: size }, (_, record) => bytes[record * (pixels + 1)]),
    classes: Array.from({ length: 10 }, (_, label) => String(label)),
    size,
  };
}

describe.skipIf(!present)('published CIFAR-10 ResNets, by an explicit architecture', () => {
  // Accuracies by PyTorch on the same records, from the data folder's README.
  it.each([
    ['resnet20', 0.804],
    ['resnet32', 0.84],
  ])('%s is right on %f of the first 1,000 test images', async (architecture, expected) => {
    const model = await loadModel(join(data, `models/cifar10-${architecture}`), { config: { architecture } });
    const evaluator = new Evaluator(model, { threads: 2 });
    const { accuracy } = await evaluator.evaluate(parameterSet(model.weights), firstTestImages(1000));
    await evaluator.release();
    expect(accuracy).toBe(expected);
  });
});
