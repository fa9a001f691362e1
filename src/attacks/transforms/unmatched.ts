import type { StateDict } from '../../models/index.js';
import { matchesAny } from '../../registry/index.js';

/**
 * Says which of the patterns that someone gave match no weight; a pattern of the defaults is nobody's mistake.
 *
 * @param subject - Whose patterns they are.
 */
export function unmatchedPatterns(
  subject: string,
  patterns: readonly string[],
  defaults: readonly string[],
  weights: StateDict,
): string | undefined {
  const names = [...weights.keys()];
  const idle = patterns.filter((pattern) => !defaults.includes(pattern) && !names.some(matchesAny([pattern])));
  return idle.length === 0 ? undefined : `${subject}: no weight matches ${idle.join(', ')}`;
}

/** Several of such sentences as one; undefined where there are none. */
export function sentences(...texts: readonly (string | undefined)[]): string | undefined {
  return texts.filter((text) => text !== undefined).join('. ') || undefined;
}
