import type { AttackFacts } from '../attacks/index.js';

/**
 * What was attacked, in the words of tables, charts and sentences: the starting point and what the attack did to it
 * before it trained.
 *
 * @example startLabel({ start: 'locked', label: 'clip + reset' }) // "locked, clip + reset"
 */
export function startLabel({ start, label }: Pick<AttackFacts, 'start' | 'label'>): string {
  return label === undefined ? start : `${start}, ${label}`;
}
