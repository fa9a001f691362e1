import type { Dataset } from '../../data/index.js';
import { InterruptedError } from '../../registry/index.js';
import type { SearchBudget, SearchResult, TrialLog } from '../search/search.js';
import type { Trial } from '../trial/fine-tune.js';
import type { TrialUtility } from '../trial/utility-after.js';

/** What uses of a released model without a step of training have in common. */
export interface FrozenTrials {
  /** Labelled examples of the unauthorized task, by seed. */
  readonly train: (seed: number) => Dataset;
  /** Score that counts as success. */
  readonly target?: number;
  /** What is left of the authorized task in the weights that are used, by seed; none where nobody asks. */
  readonly utility?: (seed: number) => Promise<TrialUtility>;
  /** Seeds that are reported, and those before them that it is chosen among other attacks by; default none. */
  readonly budget: Pick<SearchBudget, 'seeds'> & Partial<Pick<SearchBudget, 'searchSeeds'>>;
}

/** What was fitted to what a released model gives, and what it is worth. */
export interface FrozenFit {
  /** What was chosen: stands in the place of a learning rate. */
  readonly chosen: number;
  /** What the task measures on its test examples. */
  readonly metrics: Trial['metrics'];
  /** Floating-point operations. */
  readonly flops: number;
}

/**
 * A trial for each seed, of what is fitted to a model that stays as it is: its cost is 0 steps where the target is reached.
 *
 * @param metric - Name of the metric that is the score.
 * @param fitTo - Fits to some examples and judges on those of the test.
 */
export async function frozenTrials(
  { train, target, utility, budget, metric }: FrozenTrials & { metric: string },
  fitTo: (examples: Dataset, seed: number) => Promise<FrozenFit>,
  { finished = [], onTrial, signal }: TrialLog = {},
): Promise<SearchResult> {
  const trials: Trial[] = [];
  const { searchSeeds = [], seeds } = budget;
  for (const [index, seed] of [...searchSeeds, ...seeds].entries()) {
    const done = finished[index];
    if (done?.seed === seed) {
      trials.push(done);
      continue;
    }
    if (signal?.aborted) throw new InterruptedError('interrupted between two trials');
    const started = performance.now();
    const examples = train(seed);
    const { chosen, metrics, flops } = await fitTo(examples, seed);
    const reached = metrics[metric] ?? Number.NaN;
    const isTarget = target !== undefined && reached >= target;
    const trial: Trial = {
      learningRate: chosen,
      seed,
      curve: [{ step: 0, score: reached }],
      metrics,
      score: reached,
      ...(isTarget && { cost: 0 }),
      evaluations: 0,
      // Each seed as if it were alone, whatever it shares with others.
      spent: { steps: 0, samples: examples.size, flops },
      ...(isTarget && { costFlops: flops }),
      ...(utility && index >= searchSeeds.length && { utility: await utility(seed) }),
      end: isTarget ? 'target' : 'budget',
    };
    await onTrial?.(trial, index, (performance.now() - started) / 1000);
    trials.push(trial);
  }
  const reported = trials.splice(searchSeeds.length);
  const chosen = reported.map(({ learningRate }) => learningRate).toSorted((a, b) => a - b);
  return { search: trials, learningRate: chosen[Math.floor((chosen.length - 1) / 2)], trials: reported };
}
