import type { Trial } from '../trial/fine-tune.js';

/** Reported trials that say nothing, since they ended with an error: data that is missing, and no failure of the attacker. */
export interface MissingTrials {
  /** How many. */
  readonly failed: number;
  /** Of how many that were planned. */
  readonly of: number;
  /** What the first of them failed with. */
  readonly reason: string;
  /** Whether the attack cannot be run here at all, however often it is tried; default false. */
  readonly impossible?: boolean;
}

/** Whether a trial measured something; one that diverged did: its attacker would have stopped at the best that he had seen. */
export function isMeasuredTrial({ end }: Pick<Trial, 'end'>): boolean {
  return end !== 'failed';
}

/** The trials that measured something. */
export function measuredTrials<T extends Pick<Trial, 'end'>>(trials: readonly T[]): T[] {
  return trials.filter(isMeasuredTrial);
}

/** What is missing of reported trials; none where all were measured. */
export function missingTrials(trials: readonly Trial[]): MissingTrials | undefined {
  const failed = trials.filter((trial) => !isMeasuredTrial(trial));
  if (failed.length === 0) return undefined;
  return { failed: failed.length, of: trials.length, reason: failed[0].failure ?? 'unknown' };
}

/** The places of the seeds at which all of some rows were measured: what is paired over seeds has these alone. */
export function pairedSeeds(
  ...rows: readonly { readonly result: { readonly trials: readonly Pick<Trial, 'end'>[] } }[]
): number[] {
  const [first] = rows;
  return first.result.trials.flatMap((_, index) => {
    const all = rows.map(({ result }) => result.trials[index]);
    return all.every((trial) => trial === undefined || isMeasuredTrial(trial)) ? [index] : [];
  });
}
