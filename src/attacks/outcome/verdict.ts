import { type Cost, mean, medianInterval, type RatioInterval } from '../../linalg/index.js';
import type { TrialUtility } from '../trial/utility-after.js';
import { type Advantage, overallVerdict, type Verdict, verdictOf } from './assessment.js';
import { type AttackRow, costs, type Measure, scores } from './attack-row.js';
import { type BoundedAdvantages, utilityOf } from './bounded.js';
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
  /** The best attack on the locked model by each measure, and the floor. */
  readonly worst?: Readonly<Partial<Record<Measure, WorstCase>>>;
  /** The same among the attacks that keep the authorized task; none where that was not measured. */
  readonly bounded?: BoundedCase;
  /** What the sham lock leaves of the advantage, by measure; none where it was not attacked. */
  readonly sham?: Readonly<Partial<Record<Measure, RatioInterval>>>;
}

/** The best that an attacker gets of a locked model by one measure. */
export interface WorstCase {
  /** Name of the attack. */
  readonly attack: string;
  /** Name of its optimizer. */
  readonly optimizer: string;
  /** Mean score; none of cost. */
  readonly score?: number;
  /** Median steps to the target; none of score. */
  readonly cost?: Cost;
  /** Mean authorized score before and after it; none where that was not measured. */
  readonly utility?: TrialUtility;
  /** The floor, likewise. */
  readonly floor: Pick<WorstCase, 'attack' | 'optimizer' | 'score' | 'cost'>;
  /** What is left of the attacker's advantage over it; without bounds nothing is measured. */
  readonly advantage: RatioInterval;
  /** The attack that gained more with the reported seeds, chosen by them; none where none did. */
  readonly overlooked?: Pick<WorstCase, 'attack' | 'optimizer' | 'score' | 'cost' | 'advantage'>;
}

/** What attacks get of a locked model that keep what it was released for. */
export interface BoundedCase {
  /** By how much the authorized score may fall. */
  readonly drop: number;
  /** What is left of the advantage, of what was measured on both models within the drop. */
  readonly worst: Readonly<Partial<Record<Measure, WorstCase>>>;
  /** Attacks on the locked model that cost more than that, by name and optimizer. */
  readonly ruining: readonly string[];
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
  /** Times the steps that the cheapest attack on the unlocked model takes, median and interval by Kaplan and Meier; without a bound the budget ran out. */
  readonly slowdown?: { readonly median?: number; readonly low: number; readonly high?: number; readonly n: number };
}

/**
 * The verdict of the advantages that were measured, cost and score; none of no advantage.
 *
 * @param beside - `bounded`: the same among attacks that keep utility, where it was measured. `sham`: the advantages that the sham lock
 *   leaves, where it was attacked.
 */
export function lockVerdict(
  advantages: readonly Advantage[],
  { bounded, sham = [] }: { bounded?: BoundedAdvantages; sham?: readonly Advantage[] } = {},
): LockVerdict | undefined {
  if (advantages.length === 0) return undefined;
  const verdict = overallVerdict(advantages);
  const decisive = advantages.find((advantage) => verdictOf(advantage) === verdict);
  const cost = advantages.find(({ measure }) => measure === 'cost');
  return {
    verdict,
    ...(verdict !== 'nothing measured' && { measure: decisive?.measure }),
    advantage: valuesOf(advantages),
    ...(cost && { cheapest: cheapestOf(cost) }),
    worst: worstCases(advantages),
    ...(bounded && {
      bounded: { drop: bounded.drop, worst: worstCases(bounded.advantages), ruining: bounded.ruining },
    }),
    ...(sham.length > 0 && { sham: valuesOf(sham) }),
  };
}

function valuesOf(advantages: readonly Advantage[]): Partial<Record<Measure, RatioInterval>> {
  return Object.fromEntries(advantages.map(({ measure, value }) => [measure, value]));
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

function worstCases(advantages: readonly Advantage[]): Partial<Record<Measure, WorstCase>> {
  return Object.fromEntries(
    advantages.map(({ measure, locked, floor, constant, value, overlooked }): [Measure, WorstCase] => {
      const utility = utilityOf(locked);
      return [
        measure,
        {
          ...gainOf(locked),
          ...(utility && { utility }),
          floor:
            constant === undefined
              ? gainOf(floor)
              : { attack: 'always the same answer', optimizer: 'none', score: constant },
          advantage: value,
          ...(overlooked && { overlooked: { ...gainOf(overlooked.locked), advantage: overlooked.value } }),
        },
      ];
    }),
  );
}

function gainOf(row: AttackRow): WorstCase['floor'] {
  const { kind: attack, optimizer, measure } = row;
  if (measure === 'score') return { attack, optimizer, score: mean(scores(row)) };
  return { attack, optimizer, cost: medianInterval(costs(row)).median };
}
