import {
  type AttackRow,
  costs,
  keepsUtility,
  type Measure,
  scores,
  trainedParts,
  transforms,
  unlockedFailures,
  usualUtilityDrop,
  utilityOf,
} from '../attacks/index.js';
import { meanInterval, medianInterval } from '../linalg/index.js';
import { isKnown, optimizerLabel, partLabel, rate, startLabel, takesNoStep } from './attack-names.js';
import { cost, count, decimal, interval, MISSING, percent, slowdown } from './format/numbers.js';
import type { Table } from './format/table.js';

/** What an attacker with few examples has so many of, as results of versions before 0.3 do not say. */
export const usuallyDrawnBy = 'labelled examples of each class';

/** The examples of the score, in words. */
export function scoredOn(perClass: number, drawnBy: string): string {
  return perClass === 0 ? 'all training examples' : `${perClass} ${drawnBy}`;
}

/** What stands in the table beside the searches. */
export interface AttackTableOptions {
  /** Authorized score by starting point as the table names it (see `startLabel`): `locked, clipped`. */
  authorized?: Readonly<Record<string, number>>;
  /** Accuracy that the cost is counted to. */
  target: number;
  /** Examples of the score, of each class where the task has classes; 0: all; none where cost and score are of the same runs, with all examples. */
  perClass?: number;
  /** What these are, in words behind a number; default labelled examples of each class. */
  drawnBy?: string;
  /** What the score is, in words. */
  metric: string;
  /** By how much the authorized score may fall in an attack that counts as keeping it; default 0.05. */
  utilityDrop?: number;
}

/** A starting point, an attack and an optimizer: one row of the table, with what was measured. */
interface Group {
  /** One of its rows: what both say of the attack. */
  row: AttackRow;
  cost?: AttackRow;
  score?: AttackRow;
}

function groups(rows: readonly AttackRow[]): Group[] {
  const found = new Map<string, Group>();
  for (const row of rows) {
    const { start, kind, optimizer } = row;
    const key = [start, kind, optimizer].join();
    const group = found.get(key) ?? { row };
    group[row.measure] = row;
    found.set(key, group);
  }
  // An attack that only one measure has comes last in the rows, and still stands with its starting point.
  const starts = [...new Set(rows.map(({ start }) => start))];
  return [...found.values()].toSorted((a, b) => starts.indexOf(a.row.start) - starts.indexOf(b.row.start));
}

/** The table of an attack: one row for each starting point, attack and optimizer. */
export function attackTable(
  rows: readonly AttackRow[],
  {
    authorized = {},
    target,
    perClass,
    drawnBy = usuallyDrawnBy,
    metric,
    utilityDrop = usualUtilityDrop,
  }: AttackTableOptions,
): Table {
  const all = groups(rows);
  const isJudged = rows.some((row) => utilityOf(row) !== undefined);
  const seeds = rows[0]?.result.trials.length ?? 0;
  // A ratio is of one composition: the same attack, and the same optimizer, before and after the lock.
  const unlockedCost = ({ row: { kind, optimizer } }: Group) =>
    all.find(({ row }) => row.countsAs === 'unlocked' && row.kind === kind && row.optimizer === optimizer)?.cost;
  const median = (row: AttackRow | undefined) => (row && isKnown(row) ? medianInterval(costs(row)).median : undefined);
  return {
    title: 'Attacks on the unauthorized task',
    columns: [
      { key: 'start', header: 'starting point' },
      { key: 'authorized', header: 'authorized', align: 'right' },
      { key: 'attack', header: 'attack' },
      { key: 'cost', header: `steps to ${percent(target, 0)}`, align: 'right' },
      { key: 'costRate', header: 'lr', align: 'right' },
      { key: 'slowdown', header: 'slowdown', align: 'right' },
      { key: 'score', header: 'best score', align: 'right' },
      { key: 'scoreRate', header: 'lr', align: 'right' },
      ...(isJudged ? [{ key: 'after', header: 'authorized after', align: 'right' as const }] : []),
    ],
    rows: all.map((group) => {
      const { row } = group;
      const label = startLabel(row);
      return {
        start: label,
        authorized: percent(authorized[label]),
        attack: row.trains ? partLabel(row) : row.use,
        cost: group.cost ? formatCosts(group.cost) : MISSING,
        costRate: rateOf(group.cost),
        slowdown: isCompared(row) ? slowdown(median(group.cost), median(unlockedCost(group))) : MISSING,
        score: group.score ? formatScores(group.score) : MISSING,
        scoreRate: rateOf(group.score),
        ...(isJudged && { after: afterOf(group, utilityDrop) }),
      };
    }),
    notes: [
      `Steps: median (least to most) over ${count(seeds, 'seed')}, all training examples; "> n" and "not within n": the budget of n steps ran out.`,
      `Slowdown: steps on the locked model over steps on the unlocked one, same attack and optimizer.${transformsNote(rows)}`,
      `Score: mean (least to most) over ${count(seeds, 'seed')} of the best ${metric} on the way, ${perClass === undefined ? 'same runs' : scoredOn(perClass, drawnBy)}.`,
      `lr: the best learning rate, searched with other seeds over ${decadesOf(rows)} decades, the same trials and steps for all.`,
      ...explanations(rows),
      ...(isJudged
        ? [
            `Authorized after: score of the authorized task in the attacker's weights where they were best, mean over the seeds; ruined: more than ${decimal(100 * utilityDrop, 1)} points below the released model's.`,
          ]
        : []),
      ...workingNotes(rows, target),
      ...missingNotes(rows),
    ],
  };
}

/** What is left of the authorized task after an attack, the worse of both measures, and whether that is too little. */
function afterOf(group: Group, drop: number): string {
  const judged = [group.cost, group.score].flatMap((row) => {
    const utility = row && utilityOf(row);
    return row && utility ? [{ row, after: utility.after }] : [];
  });
  if (judged.length === 0) return MISSING;
  const { row, after } = judged.reduce((a, b) => (b.after < a.after ? b : a));
  return `${percent(after)}${keepsUtility(row, drop) ? '' : ', ruined'}`;
}

/** Whether a row has an unlocked one to be compared with: the locked model, and controls beside it. */
function isCompared({ start, countsAs }: AttackRow): boolean {
  return start !== 'unlocked' && countsAs !== 'floor';
}

/** What is said of the parts that rows without a step of training are of, in the order of the registry. */
function explanations(rows: readonly AttackRow[]): string[] {
  const used = new Set(rows.filter(takesNoStep).map(({ composition }) => composition.trained.name));
  return trainedParts.entries().flatMap(({ name, explains }) => (explains && used.has(name) ? [explains] : []));
}

/** What is done to the weights first, in the order of the registry: of the transforms that the rows are made of. */
function transformsNote(rows: readonly AttackRow[]): string {
  const used = new Set(rows.flatMap(({ composition }) => composition.transforms.map(({ name }) => name)));
  const all = transforms.entries().filter(({ name }) => used.has(name));
  if (all.length === 0) return '';
  const done = (some: typeof all) =>
    some.map(({ name, does, description }) => `${name} ${does ?? `is to ${description}`}`).join(', ');
  const ofLock = new Set(
    rows.flatMap(({ adaptive, composition }) => (adaptive ? composition.transforms.map(({ name }) => name) : [])),
  );
  const floor = all.filter(({ outputsAlone }) => outputsAlone);
  const known = all.filter(({ name, outputsAlone }) => !outputsAlone && ofLock.has(name));
  const other = all.filter(({ name, outputsAlone }) => !outputsAlone && !ofLock.has(name));
  const knowing = known.flatMap(({ name, knows }) => (knows === undefined ? [] : [`for ${name} also ${knows}`]));
  const having = other.flatMap(({ name, knows }) => (knows === undefined ? [] : [`for ${name} he has ${knows}`]));
  return [
    ...(known.length > 0
      ? [` First: ${done(known)}. Who does that knows ${['that there is a lock', ...knowing].join(', ')}.`]
      : []),
    ...(other.length > 0
      ? [` Whoever knows of no lock can do this too: ${done(other)}${having.map((text) => `; ${text}`).join('')}.`]
      : []),
    ...(floor.length > 0 ? [` A part of the floor: ${done(floor)}.`] : []),
  ].join('');
}

/** Decades between the smallest and the largest learning rate that any optimizer tried. */
function decadesOf(rows: readonly AttackRow[]): string {
  const trained = rows.filter(({ trains, missing }) => trains && !missing?.impossible);
  const spans = [...new Set(trained.map(({ optimizer }) => optimizer))].map((name) => {
    const rates = trained
      .filter((row) => row.optimizer === name)
      .flatMap(({ result }) => result.search.map(({ learningRate }) => Math.log10(learningRate)));
    return rates.length === 0 ? 0 : Math.max(...rates) - Math.min(...rates);
  });
  const [least, most] = [Math.min(...spans), Math.max(...spans)].map((span) => decimal(span, 1));
  return least === most ? least : `${least} to ${most}`;
}

/** How many of the reported trials a cell is of, where some are missing. */
function outOf({ missing }: AttackRow): string {
  return missing ? `, ${missing.of - missing.failed} of ${count(missing.of, 'seed')}` : '';
}

/** Which attacks fail on the unlocked model, one sentence a measure: what they do to the locked one says nothing of the lock. */
function workingNotes(rows: readonly AttackRow[], target: number): string[] {
  const failed = unlockedFailures(rows);
  const of = (measure: Measure) => failed.filter((row) => row.measure === measure);
  const named = (some: readonly AttackRow[]) =>
    [...new Set(some.map((row) => (row.trains ? `${row.kind} with ${optimizerLabel(row)}` : row.kind)))].join(', ');
  const [cost, score] = [of('cost'), of('score')];
  return [
    ...(cost.length > 0
      ? [
          `The median run does not reach ${percent(target, 0)} on the unlocked model: ${named(cost)}. In steps they do not work here, and measure nothing of the lock.`,
        ]
      : []),
    ...(score.length > 0
      ? [
          `On the unlocked model not above always the same answer (${percent(score[0].result.constant)}), by the 95 % interval over the seeds: ${named(score)}. In score they do not work by these runs, and measure nothing of the lock.`,
        ]
      : []),
  ];
}

/** What is missing, and why, one sentence an attack; of those that cannot be run the notes of the run say it. */
function missingNotes(rows: readonly AttackRow[]): string[] {
  return rows.flatMap(({ missing, search, start, kind, optimizer }) => {
    if (!missing || missing.impossible) return [];
    const name = search ?? `${kind}, ${optimizer}, ${start}`;
    return [
      `Missing: ${missing.failed} of ${count(missing.of, 'reported run')} of ${name} failed (${missing.reason}); its numbers are of the others.`,
    ];
  });
}

/** What stands in the place of the numbers of a row that has none. */
function unknown({ missing }: AttackRow): string {
  return missing?.impossible ? 'does not work here' : 'failed';
}

function formatCosts(row: AttackRow): string {
  if (!isKnown(row)) return unknown(row);
  return `${knownCosts(row)}${outOf(row)}`;
}

function knownCosts(row: AttackRow): string {
  const { median, low, high } = medianInterval(costs(row));
  if (low.censored) return takesNoStep(row) ? 'never' : `not within ${row.budget}`;
  return `${cost(median)} (${cost(low)} to ${cost(high)})`;
}

function formatScores(row: AttackRow): string {
  if (!isKnown(row)) return unknown(row);
  const values = scores(row);
  const range = interval(100 * Math.min(...values), 100 * Math.max(...values));
  return `${percent(meanInterval(values).mean)} (${range})${outOf(row)}`;
}

/** The learning rate of a row; what is fitted without steps has none. */
function rateOf(row: AttackRow | undefined): string {
  return row && !takesNoStep(row) && !row.missing?.impossible ? rate(row.result.learningRate) : MISSING;
}
