/** A loss that is pushed up, but not without end. */
export interface BoundedPush {
  /** Weight of the term. */
  readonly weight: number;
  /** Loss B from which on it is pushed no further. */
  readonly bound: number;
}

/**
 * The term `weight · ½B·(1 − ℓ/B)₊²` of a loss ℓ that is to be large: 0 from the bound B on, and for a loss that is no number.
 *
 * @returns Its value, and its slope by ℓ, which is at most 0.
 */
export function boundedPush(loss: number, { weight, bound }: BoundedPush): { term: number; slope: number } {
  const rest = Number.isFinite(loss) ? Math.max(1 - loss / bound, 0) : 0;
  return { term: (weight * bound * rest * rest) / 2, slope: rest === 0 ? 0 : -weight * rest };
}
