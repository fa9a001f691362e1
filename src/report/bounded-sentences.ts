import type { BoundedCase, Measure, WorstCase } from '../attacks/index.js';
import { cost, count, decimal, interval, percent } from './format/numbers.js';

/** Attacks that a sentence names at most. */
const mostNamed = 12;

/** What attacks get of a locked model that keep what it was released for, one sentence a measure, and which do not. */
export function boundedSentences({ drop, worst, ruining }: BoundedCase, measures: readonly Measure[]): string[] {
  const within = `within ${decimal(100 * drop, 1)} points`;
  const sentences = measures.map((measure) => {
    const found = worst[measure];
    if (!found) {
      return `In ${measure}, no attack keeps the authorized score ${within} on the locked model and on the unlocked one.`;
    }
    const { attack, optimizer, utility, floor } = found;
    const kept = utility
      ? `, authorized score ${percent(utility.before)} before and ${percent(utility.after)} after`
      : '';
    return (
      `Among attacks that keep the authorized score ${within}, the best on the locked model in ${measure} is ${attack}, ${optimizer} ` +
      `(${gained(found)}${kept}; the floor ${gained(floor)}): ${left(found)}.`
    );
  });
  if (ruining.length === 0) return sentences;
  return [
    ...sentences,
    `${count(ruining.length, 'attack')} on the locked model cost the authorized task more than that${named(ruining)}.`,
  ];
}

/** Attacks by name, where they are not too many to read; the table marks each. */
function named(attacks: readonly string[]): string {
  return attacks.length > mostNamed ? ', marked in the table' : `: ${attacks.join('; ')}`;
}

function gained({ score, cost: steps }: WorstCase['floor']): string {
  if (score !== undefined) return percent(score);
  return steps === undefined ? 'not measured' : `${cost(steps)} steps`;
}

function left({ advantage: { ratio, low, high } }: WorstCase): string {
  if (low === undefined || high === undefined) return 'nothing is measured';
  return `attacker's advantage ${decimal(ratio, 2)} (${interval(low, high, (bound) => decimal(bound, 2))})`;
}
