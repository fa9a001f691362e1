import { type AttackRow, bestRow, isMeasured, scores } from '../../attacks/index.js';
import { meanInterval } from '../../linalg/index.js';
import type { Claim, ResultAttack } from './reproduction.js';

/** Mean of some numbers; NaN of none. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** `78.1 %`, for findings; a dash for the share of nothing. */
export function share(value: number): string {
  return Number.isFinite(value) ? `${(100 * value).toFixed(1)} %` : '–';
}

/** One point of accuracy, with room for the rounding of a difference of two shares. */
const onePoint = 0.01 + 1e-9;

/** A locked model's utility is at most one point below the unlocked one's. */
export function keepsUtility(task: string, source: string, unlocked: number, locked: number): Claim {
  return {
    text: `The lock keeps the accuracy on ${task}: at most 1 point is lost.`,
    source,
    verdict: unlocked - locked <= onePoint ? 'holds' : 'fails',
    finding: `${share(unlocked)} before, ${share(locked)} after`,
  };
}

/** What an unlocked model must gain over guessing, beyond its interval over seeds, to say that it learns. */
const leastGain = 0.05;
/** A locked model that gains at most this share of it is prevented from learning. */
const prevented = 0.25;

/**
 * Whether a lock prevents what the unlocked model learns: by the share of the unlocked model's gain over guessing that is
 * left to the locked one.
 */
function judgeGain(
  { unlocked, locked, classes }: { unlocked: readonly number[]; locked: readonly number[]; classes: number },
  finding: string,
): Pick<Claim, 'verdict' | 'finding'> {
  const guessing = 1 / classes;
  const { mean: center, low = center } = meanInterval(unlocked);
  if (center - guessing < leastGain || low <= guessing) {
    return { verdict: 'unmeasured', finding: `the unlocked model cannot be told from guessing: ${finding}` };
  }
  const left = (mean(locked) - guessing) / (center - guessing);
  return { verdict: left <= prevented ? 'holds' : 'fails', finding: `${share(left)} of the gain is left: ${finding}` };
}

/** At one setting the locked model does not learn a task that the unlocked one learns. */
export function preventsAtSetting(
  { task, setting, source, classes }: { task: string; setting: string; source: string; classes: number },
  unlocked: readonly number[],
  locked: readonly number[],
): Claim {
  const text = `With ${setting}, the unlocked model learns ${task} and the locked one does not.`;
  const finding = `unlocked ${share(mean(unlocked))}, locked ${share(mean(locked))}, guessing ${share(1 / classes)}; n = ${unlocked.length} seeds`;
  return { text, source, ...judgeGain({ unlocked, locked, classes }, finding) };
}

/** No learning rate and no optimizer of a sweep makes plain fine-tuning of the locked model learn the task. */
export function preventsAtAnyRate({ task, rows, classes, metric }: ResultAttack, source: string): Claim {
  const text = `No learning rate and no optimizer of the sweep makes the locked model learn ${task}.`;
  const best = (start: string) =>
    bestRow(rows.filter((row) => row.start === start && row.attack === 'fine-tune' && row.measure === 'score'));
  const [unlocked, locked] = [best('unlocked'), best('locked')];
  if (!unlocked || !locked) return { text, source, verdict: 'unmeasured', finding: 'not attacked' };
  const at = (row: AttackRow) =>
    `${share(mean(scores(row)))} (${row.optimizer} at ${row.result.learningRate.toPrecision(1)})`;
  const finding = `${metric}: unlocked ${at(unlocked)}, locked ${at(locked)}; n = ${locked.result.trials.length} seeds`;
  return { text, source, ...judgeGain({ unlocked: scores(unlocked), locked: scores(locked), classes }, finding) };
}

/** Whatever learning rate and optimizer an attacker takes, the locked weights are worth no more than none. */
export function preventsAtBest({ task, score, metric }: ResultAttack, source: string): Claim {
  const text = `At the best of all learning rates and optimizers, the locked model is worth no more than none for ${task}.`;
  if (!score) return { text, source, verdict: 'unmeasured', finding: 'not attacked' };
  const { value, locked, unlocked, floor } = score;
  const best = (row: typeof locked) => {
    const { mean: center } = meanInterval(row.result.trials.map((trial) => trial.score));
    return `${share(center)} (${row.attack === 'frozen' ? 'frozen use' : row.optimizer})`;
  };
  const numbers = `${metric}: unlocked ${best(unlocked)}, locked ${best(locked)}, floor ${best(floor)}, n = ${value.n} seeds`;
  if (!isMeasured(score)) {
    return {
      text,
      source,
      verdict: 'unmeasured',
      finding: `the unlocked model cannot be told from the floor; ${numbers}`,
    };
  }
  const { ratio, low = 0, high = 0 } = value;
  const finding = `attacker's advantage ${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)}); ${numbers}`;
  if (low > 0) return { text, source, verdict: 'fails', finding };
  if (ratio <= 0) return { text, source, verdict: 'holds', finding };
  return { text, source, verdict: 'unmeasured', finding: `too few seeds to tell the advantage from 0: ${finding}` };
}
