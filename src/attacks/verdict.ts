import { type Cost, medianInterval, type RatioInterval } from '../linalg/index.js';
import { type Advantage, costs, type Measure, overallVerdict, type Verdict, verdictOf } from './assessment.js';
import { flopsToTarget, slowdownOf } from './slowdown.js';

/** What all attacks together say of a lock, for programs: one record a model. */
export interface LockVerdict {
  /** By the whole interval of what decides. */
  readonly verdict: Verdict;
  /** The measure that decides; none where nothing is measured. */
  readonly measure?: Measure;
  /** What is left of an attacker's advantage over the floor, by measure: 1 all of it, 0 none; without bounds nothing is measured. */
  readonly advantage: Readonly<Partial<Record<Measure, RatioInterval>>>;
  /** The cheapest attack on the locked model; none where no cost was measured. */
  readonly cheapest?: CheapestAttack;
}

/** The cheapest attack on a locked model, and what it takes. */
export interface CheapestAttack {
  /** Name of the attack. */
  readonly attack: string;
  /** Name of its optimizer. */
  readonly optimizer: string;
  /** Whether the attacker knows that there is a lock. */
  readonly adaptive: boolean;
  /** Median steps to the target; censored: the budget ran out. */
  readonly cost: Cost;
  /** Median floating-point operations to the target, without the search; none unless more than half reached it. */
  readonly flops?: number;
  /** Times the steps of the unlocked model, median and interval by Kaplan and Meier; without a bound the budget ran out. */
  readonly slowdown?: { readonly median?: number; readonly low: number; readonly high?: number; readonly n: number };
}

/** The verdict of the advantages that were measured, cost and score; none of no advantage. */
export function lockVerdict(advantages: readonly Advantage[]): LockVerdict | undefined {
  if (advantages.length === 0) return undefined;
  const verdict = overallVerdict(advantages);
  const decisive = advantages.find((advantage) => verdictOf(advantage) === verdict);
  const cost = advantages.find(({ measure }) => measure === 'cost');
  return {
    verdict,
    ...(verdict !== 'nothing measured' && { measure: decisive?.measure }),
    advantage: Object.fromEntries(advantages.map(({ measure, value }) => [measure, value])),
    ...(cost && { cheapest: cheapestOf(cost) }),
  };
}

function cheapestOf({ locked, unlocked }: Advantage): CheapestAttack {
  const slower = slowdownOf(locked, unlocked);
  const flops = flopsToTarget(locked);
  return {
    attack: locked.kind,
    optimizer: locked.optimizer,
    adaptive: locked.adaptive,
    cost: medianInterval(costs(locked)).median,
    ...(flops !== undefined && { flops }),
    ...(slower && { slowdown: { median: slower.median, low: slower.low, high: slower.high, n: slower.n } }),
  };
}
