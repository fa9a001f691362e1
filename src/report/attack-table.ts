import {
  type Advantage,
  type AttackRow,
  type CountsAs,
  costs,
  flopsToTarget,
  heldAdvantage,
  holdsButForOverlooked,
  isMeasured,
  isMeasuredTrial,
  keepsUtility,
  type LockVerdict,
  type Measure,
  measuredTrials,
  overallVerdict,
  scores,
  secondsToTarget,
  slowdownOf,
  spentOn,
  sumOfSpent,
  trainedParts,
  transforms,
  unlockedFailures,
  usualUtilityDrop,
  utilityOf,
  verdictOf,
} from '../attacks/index.js';
import { meanInterval, medianInterval } from '../linalg/index.js';
import { startLabel } from './attack-names.js';
import { cost, count, decimal, interval, MISSING, magnitude, percent, ratio, slowdown } from './numbers.js';
import type { Table } from './table.js';

/** What stands in the table beside the searches. */
export interface AttackTableOptions {
  /** Authorized score by starting point as the table names it (see `startLabel`): `locked, clipped`. */
  authorized?: Readonly<Record<string, number>>;
  /** Accuracy that the cost is counted to. */
  target: number;
  /** Labelled examples of each class of the score; none where cost and score are of the same runs, with all examples. */
  perClass?: number;
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

/** Optimizers as people write them. */
const optimizerNames: Readonly<Record<string, string>> = {
  adam: 'Adam',
  adamw: 'AdamW',
  sgd: 'SGD',
  adadelta: 'Adadelta',
  'psgd-kron': 'PSGD-Kron',
  'psgd-xmat': 'PSGD-XMat',
  lbfgs: 'L-BFGS',
  'natural-gradient': 'natural gradient',
  kfac: 'K-FAC',
};

/** The optimizer of a row as people write it. */
export function optimizerLabel({ optimizer, options }: Pick<AttackRow, 'optimizer' | 'options'>): string {
  const name = optimizerNames[optimizer] ?? optimizer;
  return optimizer === 'sgd' && Number(options?.momentum ?? 0) > 0 ? `${name} + momentum` : name;
}

/** What is trained by what: the optimizer alone where all weights are, else `LoRA, AdamW`. */
function partLabel(row: AttackRow): string {
  return row.composition.trained.name === 'all' ? optimizerLabel(row) : `${row.use}, ${optimizerLabel(row)}`;
}

/** The table of an attack: one row for each starting point, attack and optimizer. */
export function attackTable(
  rows: readonly AttackRow[],
  { authorized = {}, target, perClass, metric, utilityDrop = usualUtilityDrop }: AttackTableOptions,
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
      `Score: mean (least to most) over ${count(seeds, 'seed')} of the best ${metric} on the way, ${perClass === undefined ? 'same runs' : `${perClass} labelled examples of each class`}.`,
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
  const [known, floor] = [false, true].map((isFloor) =>
    all.filter(({ outputsAlone = false }) => outputsAlone === isFloor),
  );
  const knowing = known.flatMap(({ name, knows }) => (knows === undefined ? [] : [`for ${name} also ${knows}`]));
  return [
    ...(known.length > 0
      ? [` First: ${done(known)}. Who does that knows ${['that there is a lock', ...knowing].join(', ')}.`]
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

/** Whether any reported trial of a row was measured. */
function isKnown({ result }: AttackRow): boolean {
  return result.trials.some(isMeasuredTrial);
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

/** Whether an attack uses the model without a step of training; in results of versions before 0.2 frozen use took some. */
function takesNoStep({ trains, result }: AttackRow): boolean {
  return !trains && result.trials.every(({ evaluations }) => evaluations === 0);
}

/** The learning rate of a row; what is fitted without steps has none. */
function rateOf(row: AttackRow | undefined): string {
  return row && !takesNoStep(row) && !row.missing?.impossible ? rate(row.result.learningRate) : MISSING;
}

function rate(learningRate: number): string {
  const exponent = Math.floor(Math.log10(learningRate) + 1e-9);
  const digit = Math.round(learningRate / 10 ** exponent);
  return exponent >= 0 ? decimal(learningRate, learningRate < 10 ? 1 : 0) : `${digit}e${exponent}`.replace('-', '−');
}

/** What the advantage stands for, said wherever one is given. */
export const advantageScale =
  "The attacker's advantage: 1 means that the lock does nothing, 0 that the locked weights are worth no more than none, below 0 less.";

/** The attacker's advantage in one sentence, also where nothing was measured. */
export function advantageSentence(advantage: Advantage): string {
  const { measure, value, unlocked, isUpperBound, isLowerBound } = advantage;
  const what = measure === 'cost' ? 'cost' : 'score';
  const floorName = floorLabel(advantage);
  const floorFound = floorSummary(advantage);
  if (!isMeasured(advantage)) {
    const found = `${floorName} (${floorFound}), over ${pairs(advantage)}`;
    return isUpperBound && isLowerBound
      ? `In ${what}, nothing is measured: runs on the locked model and of the floor, ${found}, or on the unlocked model ran out of their budget.`
      : `In ${what}, nothing is measured: the unlocked model (${summary(unlocked)}) cannot be told from the floor, ${found}.`;
  }
  const bounds = `95 % interval ${interval(value.low, value.high, (bound) => decimal(bound, 2))}, n = ${pairs(advantage)}`;
  const atMost = isUpperBound ? 'at most ' : isLowerBound ? 'at least ' : '';
  return `Attacker's advantage in ${what}: ${atMost}${decimal(value.ratio, 2)} (${bounds}); the floor is ${floorName} (${floorFound}).`;
}

/** What the best attack with the reported seeds leaves, where the searches chose another one; else nothing. */
export function overlookedSentence(advantage: Advantage): string | undefined {
  const { overlooked } = advantage;
  if (!overlooked) return undefined;
  const { locked, value, isUpperBound, isLowerBound } = overlooked;
  const { ratio, low, high } = value;
  const atMost = isUpperBound ? 'at most ' : isLowerBound ? 'at least ' : '';
  const left =
    low === undefined || high === undefined
      ? ''
      : `, which leaves ${atMost}${decimal(ratio, 2)} (${interval(low, high, (bound) => decimal(bound, 2))})`;
  return (
    `With the reported seeds another attack gains more on average than the one that the searches chose: ${how(locked)}, ` +
    `${summary(locked)}${left}. It is picked by these very numbers, so chance is on its side.`
  );
}

/** What an interval is over, in words. */
function pairs({ value: { n }, over }: Advantage): string {
  return over === 'draws' ? `${count(n, 'draw')} of the lock` : count(n, 'seed');
}

/** What the sham lock leaves of the advantage, in one sentence: what a lock does beyond it is the lock's. */
export function shamSentence(sham: NonNullable<LockVerdict['sham']>): string {
  const parts = (['cost', 'score'] as const).flatMap((measure) => {
    const value = sham[measure];
    if (!value) return [];
    const { ratio, low, high } = value;
    if (low === undefined || high === undefined) return [`nothing that can be measured in ${measure}`];
    return [`${decimal(ratio, 2)} (${interval(low, high, (bound) => decimal(bound, 2))}) in ${measure}`];
  });
  return `The sham lock, the same training without the lock, leaves of the advantage: ${parts.join(', ')}.`;
}

/** What an attacker does without the released weights, in a sentence. */
function floorLabel({ floor, constant }: Advantage): string {
  if (constant !== undefined) return 'always the same answer';
  if (!floor.trains) return `${floor.use} (${startLabel(floor)})`;
  return floor.first.length === 0 ? 'training from scratch' : [...floor.first, floor.use].join(', then ');
}

/** What the floor reaches. */
export function floorSummary({ floor, constant }: Advantage): string {
  return constant === undefined ? summary(floor) : percent(constant);
}

/** `a, b and c`. */
function inWords(parts: readonly string[]): string {
  return parts.join(', ').replace(/, (?=[^,]*$)/, ' and ');
}

/** What an attack does before it trains, and then; `rescaling the layers, then AdamW at learning rate 3e−3`. */
function how(row: AttackRow): string {
  if (takesNoStep(row)) return [...row.first, row.use].join(', then ');
  const chosen = Object.entries(row.result.point ?? {}).map(([name, value]) => `${name} ${value}`);
  const rates = [`learning rate ${rate(row.result.learningRate)}`, ...chosen];
  return [...row.first, `${partLabel(row)} at ${inWords(rates)}`].join(', then ');
}

/** What the best attack did on the locked model, in one plain sentence. */
export function cheapestAttackSentence(advantage: Advantage): string {
  const { measure, locked, unlocked } = advantage;
  const goal =
    measure === 'cost' ? 'The cheapest attack on the locked model' : 'The best-scoring attack on the locked model';
  return `${goal} is ${how(locked)}: ${summary(locked)}, against ${summary(unlocked)} on the unlocked model and ${floorSummary(advantage)} for the floor.`;
}

/** What the best attack takes to the target, and how many times the best one on the unlocked model; none where neither is known. */
export function costSentence(
  { measure, locked, unlocked }: Advantage,
  seconds: Readonly<Record<string, readonly number[]>> = {},
): string | undefined {
  if (measure !== 'cost') return undefined;
  const computed = flopsToTarget(locked);
  const slower = slowdownOf(locked, unlocked);
  const trials = measuredTrials(locked.result.trials).length;
  const took = secondsToTarget(locked, seconds[locked.search ?? ''] ?? []);
  const time = took === undefined ? '' : ` in ${magnitude(took, 1)} s here`;
  const operations =
    computed === undefined || computed === 0
      ? ''
      : `computes ${magnitude(computed / 1e9, 2)} GFLOP to the target${time} (median, without its search)`;
  if (!slower) return operations === '' ? undefined : `It ${operations}.`;
  const { n, median, low, high, longest } = slower;
  const center = median === undefined ? `> ${ratio(longest)}` : ratio(median);
  const bounds = high === undefined ? `${ratio(low)} or more` : interval(low, high, ratio);
  const factor = `takes ${center} the steps of the best attack on the unlocked model, seed by seed (median and 95 % interval by Kaplan and Meier: ${bounds}, n = ${n < trials ? `${count(n, 'draw')} of the lock` : count(n, 'seed')})`;
  return `It ${[operations, factor].filter((part) => part !== '').join(', and ')}.`;
}

/** What all attacks together were computed with, searches included, from each starting point; none of older results. */
export function effortSentence(
  rows: readonly AttackRow[],
  seconds: Readonly<Record<string, readonly number[]>> = {},
): string | undefined {
  // Two rows of one search are of the same trials.
  const searches = [...new Map(rows.map((row) => [row.search ?? row, row])).values()];
  const all = [...new Set(rows.map(({ start }) => start))].map((start) => {
    const own = searches.filter((row) => row.start === start);
    const { steps, samples, flops } = sumOfSpent(own.map(({ result }) => spentOn(result)));
    const took = own.flatMap(({ search }) => (search === undefined ? [] : (seconds[search] ?? [])));
    const time =
      took.length > 0
        ? `, ${decimal(
            took.reduce((sum, value) => sum + value, 0),
            0,
          )} s`
        : '';
    const computed = magnitude(flops / 1e9, 1);
    return { flops, text: `${start} ${count(steps, 'step')}, ${count(samples, 'example')}, ${computed} GFLOP${time}` };
  });
  if (all.every(({ flops }) => flops === 0)) return undefined;
  return `All trials, searches included: ${all.map(({ text }) => text).join('; ')}.`;
}

/** What all measures together say of the lock, in words: the first thing to read. */
export function verdictSentence(advantages: readonly Advantage[]): string {
  const verdict = overallVerdict(advantages);
  const decisive = advantages.find((advantage) => verdictOf(advantage) === verdict);
  if (verdict === 'nothing measured' || !decisive) {
    return advantages.some(({ isUpperBound, isLowerBound }) => isUpperBound && isLowerBound)
      ? 'Nothing is measured: runs on the locked model and those that it is compared with ran out of their budget.'
      : 'Nothing is measured: the unlocked model learns no better than an attacker does without it.';
  }
  const { value, measure, locked, isUpperBound, isLowerBound } = decisive;
  const bound = isUpperBound ? 'at most ' : isLowerBound ? 'at least ' : '';
  const left = `${bound}${decimal(value.ratio, 2)} (${interval(value.low, value.high, (bound) => decimal(bound, 2))}) of an attacker's advantage in ${measure}`;
  if (verdict === 'does not hold') {
    const attack = locked.plain
      ? `plain ${locked.use}`
      : inWords([...locked.first, ...(locked.first.length === 0 ? [locked.use] : [])]);
    return `The lock does not hold: against ${attack} it leaves ${left}.`;
  }
  if (verdict === 'holds') {
    return `The lock holds against all attacks that were tried: it leaves at most a quarter of an attacker's advantage, by the best of them ${left}.`;
  }
  const more = holdsButForOverlooked(decisive) ? ', and more to an attack that the searches did not choose' : '';
  return `These runs cannot tell whether the lock holds: it leaves ${left}${more}; it holds where at most ${heldAdvantage} is left.`;
}

function summary(row: AttackRow): string {
  if (!isKnown(row)) return 'not measured';
  if (row.measure === 'score') return percent(meanInterval(scores(row)).mean);
  const { median } = medianInterval(costs(row));
  if (median.censored) return takesNoStep(row) ? 'never' : `not within ${row.budget} steps`;
  return `${cost(median)} steps`;
}

/** Plain fine-tuning alone, in one sentence: what is known before any attack that knows of the lock was tried. */
export function firstLookSentence(rows: readonly AttackRow[]): string {
  const named: Partial<Record<CountsAs, string>> = {
    unlocked: 'the unlocked model',
    locked: 'the locked one',
    floor: 'training from scratch',
  };
  const found = rows.map((row) => `${named[row.countsAs] ?? row.start} ${summary(row)}`).join(', ');
  return `First look, plain fine-tuning with ${optimizerLabel(rows[0])} alone: ${found}. Attackers who know of the lock come next.`;
}
