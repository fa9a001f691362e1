import {
  type FrontierPoint,
  kindOf,
  type LockCandidate,
  measuredFrontier,
  type PacedModel,
  type Recommendation,
  type RecommendationLimits,
  recommendLock,
  secondsOfLock,
} from '../experiments/index.js';
import { mean } from '../linalg/index.js';
import { lockMethods } from '../locks/index.js';
import { advantageLeft, tableToText } from '../report/index.js';
import { formatDuration } from './progress.js';

/** A proposal with its command line and what can be expected of it, in words. */
export interface LockProposal extends Recommendation {
  /** Options of `weightlock lock` that choose the proposed lock; none where none is proposed. */
  readonly flags?: readonly string[];
  /** What is proposed and why, a sentence each. */
  readonly sentences: readonly string[];
}

/** Proposes a lock for a model, from what was measured on models like it and from the pace of a step here. */
export async function proposeLock(
  paced: PacedModel,
  { minutes, maxKl, maxLost }: { minutes?: number } & Pick<RecommendationLimits, 'maxKl' | 'maxLost'>,
): Promise<LockProposal> {
  const limits = { maxKl, maxLost, ...(minutes !== undefined && { seconds: 60 * minutes }) };
  const found = await recommendLock(
    kindOf(paced.model),
    measuredFrontier,
    (point) => secondsOfLock(paced, point),
    limits,
  );
  const flags = found.best && flagsOf(found.best);
  return { ...found, ...(flags && { flags }), sentences: sentencesOf(found) };
}

/** Why a lock is not proposed, in a table and in a sentence. */
const objections = {
  utility: { short: 'costs too much utility', long: 'costs more utility than is allowed (--max-lost)' },
  kl: { short: 'ruins probabilities', long: 'moves probabilities further than is allowed (--max-kl)' },
  time: { short: 'takes too long', long: 'takes longer than is allowed' },
  'nothing shown': { short: 'not shown to beat its control', long: 'was not shown to do more than its control' },
  'no control': { short: 'its control was not measured', long: 'was measured without its own control' },
  symmetry: { short: 'undone by who knows of it', long: 'is undone by whoever knows of it' },
  diverged: { short: 'diverged', long: 'diverged in some draw' },
} as const;

/** What a lock that may be proposed was shown to do, in a table. */
const strengths: Readonly<Record<LockCandidate['strength'], string>> = {
  holds: 'leaves a tenth at most',
  'takes a part': 'leaves less than its control',
  'nothing shown': objections['nothing shown'].short,
  'no control': objections['no control'].short,
};

/** Shows what was measured, one method a line. */
export function proposalTable({ likest, candidates }: Recommendation): string {
  return tableToText({
    title: `What locks did on ${likest}`,
    columns: [
      { key: 'method', header: 'lock' },
      { key: 'class', header: 'class' },
      { key: 'lost', header: 'utility lost, points', align: 'right' },
      { key: 'kl', header: 'largest KL, nats', align: 'right' },
      { key: 'score', header: 'advantage left in score', align: 'right' },
      { key: 'cost', header: 'in cost', align: 'right' },
      { key: 'seconds', header: 'here', align: 'right' },
      { key: 'verdict', header: 'verdict' },
    ],
    rows: candidates.map(({ point, strength, seconds, against }) => ({
      method: point.method,
      class: point.class ?? '',
      lost: point.lost.length === 0 ? '' : (100 * mean(point.lost)).toFixed(1),
      kl: point.kl.length === 0 ? '' : Math.max(...point.kl).toFixed(3),
      score: advantageLeft(point.score),
      cost: advantageLeft(point.cost),
      seconds: seconds === undefined ? '' : formatDuration(seconds),
      verdict: against ? objections[against].short : strengths[strength],
    })),
  });
}

/** What is proposed and why, a sentence each. */
export function sentencesOf({ likest, differs, candidates, best }: Recommendation): string[] {
  if (!likest) return ['No lock was measured on a model that reads what yours reads: none is proposed.'];
  const same =
    differs.length === 0
      ? 'the model likest to yours that was measured'
      : `the likest that was measured, but ${differs.join(', and ')}`;
  if (!best) {
    const reasons = [...new Set(candidates.flatMap(({ against }) => against ?? []))].map(
      (against) => objections[against].long,
    );
    return [
      `No lock is proposed: on ${likest}, ${same}, each lock ${reasons.join(', or ')}.`,
      'Whoever locks all the same should attack the result, with the sham lock beside: lock --sham, attack --sham.',
    ];
  }
  const { point, strength } = best;
  const held =
    strength === 'holds'
      ? 'at most a tenth of his advantage was left to the best attack that was tried'
      : `the best attack that was tried kept ${advantageLeft(point.score)} of its advantage in score; in cost ${point.cost?.low === undefined ? 'nothing can be told' : `it kept ${advantageLeft(point.cost)}`}`;
  const kl = point.kl.length === 0 ? '' : ` and up to ${Math.max(...point.kl).toFixed(2)} nats of KL`;
  const { undoneBy, proxies } = lockMethods.get(point.method);
  return [
    `Proposed: ${point.method}. On ${likest}, ${same}, ${held}, at ${(100 * mean(point.lost)).toFixed(1)} points of utility${kl}. It is undone by ${undoneBy}.`,
    'Is a parent of your weights public? Then no lock helps: whoever downloads it starts there.',
    ...closedInputs(point),
    ...(proxies === 'required' ? ['It needs tasks that an attacker may be after: --proxies.'] : []),
    'What it does on your model is not known before it is attacked: weightlock attack LOCKED --unlocked MODEL --sham SHAM --suite standard.',
  ];
}

/** For whom a lock is that draws what the training examples rarely have. */
function closedInputs({ options = {} }: FrontierPoint): string[] {
  const { unseen, unseenBelow } = options;
  if (unseen !== 'random') return [];
  const rare = typeof unseenBelow === 'number' ? `have fewer than ${unseenBelow} times` : 'lack';
  return [
    `Words that your training examples ${rare} become random codes, which say no more than whether two texts share a word: take it only where inputs are known to be closed (commands, a protocol, a fixed set of names).`,
  ];
}

/**
 * `--method erase --erase.energy 0.9`; options within a group have the name of the group before theirs. A lock that was measured without
 * a bound on KL gets what it cost, rounded up, for one, and where that is less the method's own.
 */
export function flagsOf({ point: { method, options = {}, kl } }: Pick<LockCandidate, 'point'>): string[] {
  const dashed = (key: string) => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const flags = (within: string, given: object): string[] =>
    Object.entries(given).flatMap(([key, value]) => {
      const name = `${within}.${dashed(key)}`;
      const isGroup = typeof value === 'object' && value !== null && !Array.isArray(value);
      return isGroup ? flags(name, value) : [name, String(value)];
    });
  const { maxKl, ...others } = options;
  const bound = maxKl === null ? Math.max(usualBound(method), ...kl.map(roundedUp)) : maxKl;
  return ['--method', method, ...flags(`--${method}`, { ...others, ...(bound !== undefined && { maxKl: bound }) })];
}

/** The bound on KL that a method has where nobody gives one. */
function usualBound(method: string): number {
  const { maxKl } = lockMethods.get(method).options.parse({}) as { maxKl?: number | null };
  return maxKl ?? 0;
}

/** Up to two digits. */
function roundedUp(value: number): number {
  if (value <= 0) return 0;
  const digit = 10 ** (Math.floor(Math.log10(value)) - 1);
  return Number((Math.ceil(value / digit) * digit).toPrecision(2));
}
