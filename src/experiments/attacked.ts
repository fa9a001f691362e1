import {
  type Advantage,
  type AttackRow,
  attackersAdvantage,
  type BestSoFar,
  bestSoFar,
  boundedAdvantages,
  type LockVerdict,
  lockVerdict,
  releasedWorth,
  type UnlockedFailure,
  unlockedFailures,
  usualUtilityDrop,
} from '../attacks/index.js';
import type { MeanInterval } from '../linalg/index.js';
import { scoreTitle, type Task } from '../tasks/index.js';
import type { AttackJobResult, SecondsOfTrials } from './jobs/attack.js';

/** What attacks on a model found. */
export interface AttackedModel {
  /** All searches. */
  readonly rows: readonly AttackRow[];
  /** What the score is, in words. */
  readonly metric: string;
  /** What an attacker with few examples has so many of, in words; not in results of versions before 0.3. */
  readonly drawnBy?: string;
  /** Advantage in cost. */
  readonly cost?: Advantage;
  /** Advantage in score. */
  readonly score?: Advantage;
  /**
   * How far the score of the best attack lies above the floor, of a model that was attacked alone: what its weights are worth to an attacker.
   * Not in results of versions before 0.3.
   */
  readonly worth?: MeanInterval;
  /** Both in one record; not in results of versions before 0.3. */
  readonly verdict?: LockVerdict;
  /**
   * Attacks that do not work on the unlocked model, and so measure nothing of the lock; not in results of versions before 0.3.
   */
  readonly failsOnUnlocked?: readonly UnlockedFailure[];
  /** How good the best attack so far is over what all searches cost, by starting point; not in results of versions before 0.3. */
  readonly bestSoFar?: readonly BestSoFar[];
  /** What the lock took its owner in floating-point operations, as the locked model's card states it; none where it does not. */
  readonly lockFlops?: number;
  /** What was left out because it could do nothing, and which options had no effect: one sentence each. */
  readonly notes: readonly string[];
  /** Seconds of each trial by the name of its search; not in results of versions before 0.3. */
  readonly seconds?: SecondsOfTrials;
}

/**
 * What the searches of an attack say of an attacker's advantage.
 *
 * @param options - `utilityDrop`: by how much the authorized score may fall in attacks that count as keeping it; default 0.05.
 *   `lockFlops`: what the lock took its owner, where that is known.
 */
export function assessAttack(
  { rows, notes, seconds }: AttackJobResult,
  task: Task,
  { utilityDrop = usualUtilityDrop, lockFlops }: { utilityDrop?: number; lockFlops?: number } = {},
): AttackedModel {
  const advantages = (of: 'locked' | 'control') =>
    (['cost', 'score'] as const).flatMap((measure) => attackersAdvantage(rows, measure, { of }) ?? []);
  const found = advantages('locked');
  const [cost, score] = (['cost', 'score'] as const).map((each) => found.find(({ measure }) => measure === each));
  const worth = found.length === 0 ? releasedWorth(rows, 'score')?.gain : undefined;
  const bounded = boundedAdvantages(rows, utilityDrop);
  const verdict = lockVerdict(found, { bounded, sham: advantages('control') });
  return {
    rows,
    metric: scoreTitle(task),
    drawnBy: task.drawnBy,
    cost,
    score,
    ...(worth && { worth }),
    ...(verdict && { verdict }),
    failsOnUnlocked: unlockedFailures(rows).map(({ kind, optimizer, measure }) => ({
      attack: kind,
      optimizer,
      measure,
    })),
    bestSoFar: bestSoFar(rows),
    ...(lockFlops !== undefined && { lockFlops }),
    notes,
    seconds,
  };
}
