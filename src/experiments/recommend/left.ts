import type { AdvantageLeft, FrontierPoint } from '../reproduce/reproduction.js';

/** Most of the advantage that a lock may leave which holds. */
const most = 0.1;

/** Whether at most a tenth of an advantage is left, by the whole interval; of what is left at least nothing is known. */
export function isHeld(left?: AdvantageLeft): boolean {
  return left?.high !== undefined && left.high <= most && !left.isLowerBound;
}

/** Whether more than a tenth of it is left, by the whole interval; of what is left at most nothing is known. */
export function isNotHeld(left?: AdvantageLeft): boolean {
  return left?.low !== undefined && left.low > most && !left.isUpperBound;
}

/**
 * What the control of a lock leaves in score: that of its own training; in results that do not say which lock a control is of, that of
 * the one that there is. A lock without training has the unlocked model for one, which leaves all. None where no control was measured.
 */
export function controlLeft(
  { model, method }: FrontierPoint,
  points: readonly FrontierPoint[],
): AdvantageLeft | undefined {
  const controls = points.filter((point) => point.model === model && point.class === undefined);
  if (controls.length === 0) return undefined;
  const own = controls.find((point) => point.controls?.includes(method)) ?? controls.find((point) => !point.controls);
  if (!own) return { ratio: 1, low: 1, high: 1 };
  return own.diverged ? undefined : own.score;
}
