import { type Dataset, drawSome, NO_CLASS, subset } from '../../data/index.js';
import { RandomStream } from '../../linalg/index.js';
import type { StateDict } from '../../models/index.js';
import { parameterSet } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { logSumExp, type Outputs, type Task } from '../../tasks/index.js';
import type { Evaluator, ParameterSet } from '../../training/index.js';
import type { SearchResult, TrialLog } from '../search/search.js';
import { type FrozenFit, type FrozenTrials, frozenTrials } from './frozen-trials.js';

/** Options of {@link frozenTokens}. */
export interface FrozenTokensOptions extends FrozenTrials {
  /** The released model by seed: its weights, and what computes its outputs. */
  readonly released: (seed: number) => Promise<{ readonly weights: StateDict; readonly evaluator: Evaluator }>;
  /** Examples on which the score is measured. */
  readonly test: Dataset;
  /** Name of the metric that is the score; default the task's. */
  readonly metric?: string;
}

/** Shares of the shift that are tried, none first: of equal ones the first is taken. */
const shares = [0, 0.25, 0.5, 1];
/** Training texts that the shift is fitted to at most. */
const mostFitted = 256;

/**
 * Frozen use of a language model: what an attacker gets from its outputs without a step of training. They are taken as they are, or the
 * logit of each token shifted towards how often the training texts have it, `s · log((c + 1) / (p + 1))` with c its number and p the
 * sum of its probabilities; the share s is the one with the best score on texts that the shift was not fitted to.
 *
 * A trial's learning rate is that share, its cost 0 steps where the target is reached.
 */
export async function frozenTokens(
  { released, test, metric: named, ...shared }: FrozenTokensOptions,
  log?: TrialLog,
): Promise<SearchResult> {
  const { evaluator } = await released(shared.budget.seeds[0]);
  const { task } = evaluator;
  const { name: metric } = task.metric(named ?? task.roles.score, test);
  const known = new Map<StateDict, Map<Dataset, Promise<FrozenFit>>>();
  const fit = async (examples: Dataset, seed: number) => {
    const { weights, evaluator } = await released(seed);
    const own = known.get(weights) ?? new Map<Dataset, Promise<FrozenFit>>();
    known.set(weights, own);
    const found = own.get(examples) ?? fitTo({ evaluator, params: parameterSet(weights) }, { examples, test, metric });
    own.set(examples, found);
    return found;
  };
  return frozenTrials({ ...shared, metric }, fit, log);
}

/** What gives outputs. */
interface Given {
  readonly evaluator: Evaluator;
  readonly params: ParameterSet;
}

async function fitTo(
  given: Given,
  { examples, test, metric }: { examples: Dataset; test: Dataset; metric: string },
): Promise<FrozenFit> {
  const before = given.evaluator.flops;
  // The same whatever seed asks first.
  const texts = drawSome(examples, mostFitted, 0);
  const order = new RandomStream(0, 'halves').permutation(texts.size);
  const halves = [0, 1].map((half) =>
    subset(
      texts,
      order.filter((_, at) => at % 2 === half),
    ),
  );
  const totals = shares.map(() => 0);
  if (texts.size > 1) {
    for (const [half, other] of [halves, halves.toReversed()]) {
      const scores = await scoresOf(given, other, await shiftOf(given, half));
      for (const [index, metrics] of scores.entries()) totals[index] += (metrics[metric] ?? 0) * other.size;
    }
  }
  const chosen = shares[totals.indexOf(Math.max(...totals))];
  const shift = chosen === 0 ? undefined : await shiftOf(given, texts);
  const [metrics] = await scoresOf(given, test, shift, [chosen]);
  return { chosen, metrics, flops: given.evaluator.flops - before };
}

/** `log((c + 1) / (p + 1))` of each token. */
async function shiftOf(given: Given, texts: Dataset): Promise<Float64Array> {
  const { evaluator } = given;
  const labelsAt = tokensOf(evaluator.task, texts);
  const width = evaluator.model.head.size;
  const [counts, sums] = [new Float64Array(width), new Float64Array(width)];
  await each(given, texts, ({ positions, values }) => {
    for (const [at, label] of labelsAt(positions).entries()) {
      if (label === BigInt(NO_CLASS)) continue;
      const logits = values.subarray(at * width, (at + 1) * width);
      const sum = logSumExp(logits);
      // Nothing can be told from such outputs.
      if (!Number.isFinite(sum)) continue;
      counts[Number(label)]++;
      for (let token = 0; token < width; token++) sums[token] += Math.exp(logits[token] - sum);
    }
  });
  return counts.map((count, token) => Math.log((count + 1) / (sums[token] + 1)));
}

/** What the task measures with each of some shares of a shift. */
async function scoresOf(given: Given, texts: Dataset, shift: Float64Array | undefined, tried = shares) {
  const { task, model } = given.evaluator;
  const meters = tried.map((share) => ({ share, meter: task.meter(texts, model.head.size) }));
  await each(given, texts, (outputs) => {
    for (const { share, meter } of meters) {
      const values =
        shift && share > 0
          ? outputs.values.map((value, index) => value + share * shift[index % shift.length])
          : outputs.values;
      meter.add({ ...outputs, values });
    }
  });
  return meters.map(({ meter }) => meter.result().metrics);
}

function each({ evaluator, params }: Given, texts: Dataset, take: (outputs: Outputs) => void): Promise<void> {
  return evaluator.each(params, evaluator.task.view?.(texts) ?? texts, take);
}

function tokensOf(task: Task, texts: Dataset) {
  const found = task.tokens?.(texts);
  if (!found) throw new InputError(`${texts.name}: expected a task of tokens, found ${task.name}`);
  return found;
}
