import { mean } from '../../linalg/index.js';
import { hundredths } from '../in-words.js';
import { controlLeft, isHeld, isNotHeld } from '../recommend/left.js';
import { leftInWords } from './claims.js';
import type { AdvantageLeft, Claim, FrontierPoint, LeftByAttack } from './reproduction.js';

const source = 'weightlock';

/** Utility that a lock may cost here, a share. */
const goalLost = 0.01;

/** What a frontier says of its locks on one model. Locks of which a draw diverged are named, and count for nothing. */
export function claimsOf(label: string, points: readonly FrontierPoint[]): Claim[] {
  const counted = points.filter(({ diverged = 0 }) => diverged === 0);
  const out = points.filter((point) => !counted.includes(point));
  const leftOut = out.map(
    ({ method, diverged = 0, lost }) =>
      `${method} is left out, as ${diverged} of ${diverged + lost.length} draws diverged`,
  );
  return [goalOf(label, counted), controlsBeatenOf(label, counted, points)].map(({ finding, ...claim }) => ({
    ...claim,
    finding: [finding, ...leftOut].join('; '),
  }));
}

function goalOf(label: string, points: readonly FrontierPoint[]): Claim {
  const text = `On ${label} some lock leaves at most 10 % of the advantage, in score and in cost, at no more than 1 point of utility.`;
  const locks = points.filter((point) => point.class !== undefined);
  const claim = (verdict: Claim['verdict'], finding: string): Claim => ({ text, source, verdict, finding });
  if (!points.some(({ score, cost }) => isMeasured(score) || isMeasured(cost))) {
    return claim('unmeasured', 'the unlocked model cannot be told from the floor');
  }
  if (locks.length === 0) return claim('unmeasured', 'no lock was measured');
  const cheap = locks.filter(({ lost }) => lost.length > 0 && mean(lost) <= goalLost + 1e-9);
  if (cheap.length === 0) return claim('fails', 'no lock stayed within a point');
  const holder = cheap.find(({ score, cost }) => isHeld(score) && isHeld(cost));
  if (holder) return claim('holds', words(holder));
  const ratio = ({ score }: FrontierPoint) => (isMeasured(score) ? score.ratio : Number.POSITIVE_INFINITY);
  const [least] = cheap.toSorted((a, b) => ratio(a) - ratio(b));
  const lowest = `the lowest estimate of ${cheap.length} within a point is that of ${words(least)}`;
  const open = cheap.filter(({ score, cost }) => !isNotHeld(score) && !isNotHeld(cost));
  if (open.length === 0) return claim('fails', lowest);
  return claim(
    'unmeasured',
    `too few seeds or draws to tell of ${open.map(({ method }) => method).join(', ')}; ${lowest}`,
  );
}

/** @param all - With the controls that diverged: those are no reason to take another. */
function controlsBeatenOf(label: string, points: readonly FrontierPoint[], all: readonly FrontierPoint[]): Claim {
  const compared = points
    .filter((point) => point.class !== undefined && isMeasured(point.score))
    .map((lock) => ({ lock, control: controlLeft(lock, all) }));
  // By whole intervals: two that overlap may be one.
  const isBelow = (a?: LeftByAttack, b?: LeftByAttack) =>
    (a?.high ?? Number.POSITIVE_INFINITY) < (b?.low ?? Number.NEGATIVE_INFINITY);
  const isBeaten = (lock?: AdvantageLeft, control?: AdvantageLeft) =>
    isBelow(lock, control) && (!lock?.overlooked || isBelow(lock.overlooked, control));
  const worse = compared.filter(({ lock, control }) => isBelow(control, lock.score));
  const open = compared.filter(({ lock, control }) => !isBelow(control, lock.score) && !isBeaten(lock.score, control));
  const unmeasured = open.filter(({ control }) => !isMeasured(control));
  const equal = open.filter(({ control }) => isMeasured(control));
  const controls = points.filter((point) => point.class === undefined && isMeasured(point.score));
  return {
    text: `On ${label} every lock leaves less than its control: the same training without the lock, or without any the unlocked model.`,
    source,
    verdict: worse.length > 0 ? 'fails' : compared.length > 0 && open.length === 0 ? 'holds' : 'unmeasured',
    finding: [
      ...(controls.length > 0 ? controls.map(words) : ['no control was measured']),
      ...worse.map(({ lock }) => `more: ${words(lock)}`),
      ...equal.map(({ lock }) => `not to be told from it: ${words(lock)}`),
      ...unmeasured.map(({ lock }) => `its own control was not measured: ${words(lock)}`),
    ].join('; '),
  };
}

/** Whether the bounds of what is left are known. */
function isMeasured(left?: AdvantageLeft): left is AdvantageLeft {
  return left?.low !== undefined;
}

function words({ method, score, cost, lost }: FrontierPoint): string {
  return `${method}: ${measureInWords(score)} left in score and ${measureInWords(cost)} in cost at ${hundredths(mean(lost))} points`;
}

/** What is left, and what keeps the lock from being said to hold where that would not. */
function measureInWords(left?: AdvantageLeft): string {
  if (!isNotHeld(left?.overlooked) || isNotHeld(left)) return range(left);
  return `${range(left)}, by an attack that no search chose ${range(left?.overlooked)},`;
}

function range(left?: LeftByAttack): string {
  if (left?.low === undefined || left.high === undefined) return 'nothing measured';
  const bound = left.isUpperBound ? 'at most ' : left.isLowerBound ? 'at least ' : '';
  return `${bound}${leftInWords({ ratio: left.ratio, low: left.low, high: left.high })}`;
}
