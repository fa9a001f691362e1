import { mean } from '../../linalg/index.js';
import type { FrontierPoint } from '../reproduce/reproduction.js';
import { controlLeft, isHeld } from './left.js';
import type { ModelKind } from './model-kind.js';

/** What an owner allows. */
export interface RecommendationLimits {
  /** Score of the authorized task that the lock may cost, a share; default a point. */
  readonly maxLost?: number;
  /** Mean KL to the original that any draw of the lock may cost, in nats; default 0.5. */
  readonly maxKl?: number;
  /** Seconds that it may take; default any. */
  readonly seconds?: number;
}

/**
 * How much of an attacker's advantage a lock took where it was measured: `holds` leaves at most a tenth, in score and in cost, by
 * whole intervals; `takes a part` leaves less than all of it and less than its control; of `nothing shown` neither is known; that of
 * `no control` was not measured.
 */
export type LockStrength = 'holds' | 'takes a part' | 'nothing shown' | 'no control';

/**
 * Why a lock is not proposed: it costs more utility than is allowed, moves probabilities further, takes longer, was not shown to do more
 * than its control, which was perhaps not measured, is a symmetry, which whoever knows of it undoes, or a draw of it diverged.
 */
export type LockObjection = 'utility' | 'kl' | 'time' | 'nothing shown' | 'no control' | 'symmetry' | 'diverged';

/** A lock method as it was measured, and whether it is for this model. */
export interface LockCandidate {
  /** What was measured. */
  readonly point: FrontierPoint;
  /** How strong it was there. */
  readonly strength: LockStrength;
  /** What it would take here, seconds; undefined where it is not known. */
  readonly seconds?: number;
  /** Why it is not proposed; none of one that may be. */
  readonly against?: LockObjection;
}

/** A proposal. */
export interface Recommendation {
  /** Name of the model among those measured that is most like this one; none where none is like it. */
  readonly likest?: string;
  /** In what it differs from the likest, in words. */
  readonly differs: readonly string[];
  /** All methods measured on it, the one that left least first. */
  readonly candidates: readonly LockCandidate[];
  /** The best of those that may be proposed; none where no lock was shown to help. */
  readonly best?: LockCandidate;
}

/** Beyond this probabilities are ruined, whatever the accuracy says: what the measured locks that kept them cost is half of it. */
const usualMaxKl = 0.5;

/**
 * Proposes a lock for a kind of model from what was measured on the model likest to it.
 *
 * @param measured - Points of a frontier, of any models.
 * @param secondsOf - What a lock would take here.
 */
export async function recommendLock(
  kind: ModelKind,
  measured: readonly FrontierPoint[],
  secondsOf: (point: FrontierPoint) => Promise<number | undefined>,
  { maxLost = 0.01, maxKl = usualMaxKl, seconds: allowed = Number.POSITIVE_INFINITY }: RecommendationLimits = {},
): Promise<Recommendation> {
  const likest = likestOf(kind, measured);
  if (!likest) return { differs: [], candidates: [] };
  const { model } = likest;
  const points = measured.filter((point) => point.model === model);
  const locks = points.filter((point) => point.class !== undefined && (point.score || point.diverged));
  const candidates: LockCandidate[] = [];
  for (const point of locks.toSorted((a, b) => leftOf(a) - leftOf(b))) {
    const strength = strengthOf(point, points);
    const seconds = await secondsOf(point);
    const objections: readonly (readonly [LockObjection, boolean])[] = [
      ['diverged', point.diverged !== undefined],
      ['symmetry', point.class === 'symmetry'],
      ['no control', strength === 'no control'],
      ['nothing shown', strength === 'nothing shown'],
      ['utility', mean(point.lost) > maxLost + 1e-9],
      ['kl', Math.max(0, ...point.kl) > maxKl],
      ['time', seconds !== undefined && seconds > allowed],
    ];
    const against = objections.find(([, applies]) => applies)?.[0];
    candidates.push({ point, strength, ...(seconds !== undefined && { seconds }), ...(against && { against }) });
  }
  const best = candidates.find(({ against }) => against === undefined);
  return { likest: model, differs: differencesOf(kind, likest.kind), candidates, ...(best && { best }) };
}

const leftOf = ({ score }: FrontierPoint) => score?.ratio ?? Number.POSITIVE_INFINITY;

/** The point of a model that reads the same, and differs in as little else as there is. */
function likestOf(kind: ModelKind, measured: readonly FrontierPoint[]): { model: string; kind: ModelKind } | undefined {
  const alike = measured.flatMap(({ model, kind: other }) =>
    other && other.input === kind.input ? [{ model, kind: other, differs: differencesOf(kind, other).length }] : [],
  );
  return alike.toSorted((a, b) => a.differs - b.differs)[0];
}

/** In what a model differs from one that was measured. */
function differencesOf(kind: ModelKind, other: ModelKind): string[] {
  const norms = (has: boolean) => (has ? 'batch norm' : 'no batch norm');
  const released = { narrow: 'the logits of one classifier', rich: 'rich outputs' };
  return [
    ...(kind.hasBatchNorm === other.hasBatchNorm
      ? []
      : [`it has ${norms(other.hasBatchNorm)}, yours ${norms(kind.hasBatchNorm)}`]),
    ...(kind.release === other.release
      ? []
      : [`it releases ${released[other.release]}, yours ${released[kind.release]}`]),
  ];
}

/**
 * See {@link LockStrength}.
 *
 * @param points - Those of the same frontier, with the controls.
 */
export function strengthOf(point: FrontierPoint, points: readonly FrontierPoint[]): LockStrength {
  const { score, cost } = point;
  if (isHeld(score) && isHeld(cost)) return 'holds';
  const control = controlLeft(point, points);
  if (!control) return 'no control';
  const least = Math.min(1, control.low ?? Number.NEGATIVE_INFINITY);
  const isBelow = (score?.high ?? Number.POSITIVE_INFINITY) < least;
  return isBelow && !score?.isLowerBound ? 'takes a part' : 'nothing shown';
}
