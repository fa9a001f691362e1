import type { DataParts } from '../../data/index.js';
import { specdef } from '../../locks/index.js';
import type { Model } from '../../models/index.js';
import { trainOptions } from '../jobs/train.js';
import type { Runner } from '../run/index.js';
import { utilityChange } from '../utility.js';
import { printedSpecDef } from './common.js';

/**
 * What Table 1 and Figure 4 begin with (paper, Appendix B.2): a model trained on MNIST with Adadelta, learning rate 1,
 * falling by 0.7 each epoch, batches of 32, and locked with the same course, α 0.5, k 1, as printed in Algorithm 1.
 */
export async function lockOnMnist(
  runner: Runner,
  start: () => Promise<Model>,
  { train, validation, test }: DataParts,
  { epochs }: { epochs: number },
) {
  const data = { train, validation };
  const schedule = { schedule: 'step', step: { gamma: 0.7 } };
  const course = { epochs, ...schedule, optimizer: 'adadelta', learningRate: 1, batchSize: 32 };
  const training = trainOptions.parse({ ...course, evaluateEvery: 100_000 });
  const unlocked = await runner.train({ name: 'unlocked' }, { from: start, data, options: training });
  const locked = await runner.lock(
    { name: 'locked' },
    { from: unlocked.model, data, method: specdef, options: printedSpecDef(course) },
  );
  return {
    paths: { unlocked: unlocked.path, locked: locked.path },
    /** Utility on MNIST's test images. */
    utility: await utilityChange(unlocked.model, locked.model.weights, test, runner.spec.engine),
    /** The largest singular value of any matrix after the lock. */
    sigma: Math.max(...locked.info.spectra.map(({ after }) => after[0])),
  };
}
