import type { DataParts } from '../../data/index.js';
import type { Model } from '../../models/index.js';
import { trainOptions } from '../jobs/train.js';
import { utilityChange } from '../utility.js';
import { printedSpecDef, type Workshop } from './workshop.js';

/**
 * What Table 1 and Figure 4 begin with (paper, Appendix B.2): a model trained on MNIST with Adadelta, learning rate 1,
 * falling by 0.7 each epoch, batches of 32, and locked with the same course, α 0.5, k 1, as printed in Algorithm 1.
 */
export async function lockOnMnist(
  workshop: Workshop,
  start: () => Promise<Model>,
  mnist: DataParts,
  { epochs }: { epochs: number },
) {
  const { engine } = workshop.context;
  const course = { epochs, schedule: 'step', gamma: 0.7, optimizer: 'adadelta', learningRate: 1, batchSize: 32 };
  const training = trainOptions.parse({ ...course, evaluateEvery: 100_000 });
  const unlocked = await workshop.train('unlocked', start, mnist, training);
  const locked = await workshop.lock('locked', unlocked, mnist, printedSpecDef(course));
  return {
    paths: { unlocked: unlocked.path, locked: locked.path },
    /** Utility on MNIST's test images. */
    utility: await utilityChange(unlocked.model, locked.model.weights, mnist.test, engine),
    /** The largest singular value of any matrix after the lock. */
    sigma: Math.max(...locked.info.spectra.map(({ after }) => after[0])),
  };
}
