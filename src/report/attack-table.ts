import { type Advantage, type AttackRow, costs, isMeasured, type StartName, scores } from '../attacks/index.js';
import { meanInterval, medianInterval } from '../linalg/index.js';
import { cost, decimal, interval, MISSING, percent, slowdown } from './numbers.js';
import type { Table } from './table.js';

/** What stands in the table beside the searches. */
export interface AttackTableOptions {
  /** Authorized accuracy by starting point as the table names it; the clipped model is `locked, clipped`. */
  authorized?: Readonly<Record<string, number>>;
  /** Accuracy that the cost is counted to. */
  target: number;
  /** Labelled examples of each class of the score; none where cost and score are of the same runs, with all examples. */
  perClass?: number;
  /** What the score is; default accuracy. */
  metric?: string;
}

/** A starting point, an attack and an optimizer: one row of the table, with what was measured. */
interface Group {
  start: StartName;
  attack: string;
  optimizer: string;
  options?: AttackRow['options'];
  cost?: AttackRow;
  score?: AttackRow;
}

function groups(rows: readonly AttackRow[]): Group[] {
  const found = new Map<string, Group>();
  for (const row of rows) {
    const { start, attack, optimizer, options } = row;
    const key = [start, attack, optimizer].join();
    const group = found.get(key) ?? { start, attack, optimizer, options };
    group[row.measure] = row;
    found.set(key, group);
  }
  return [...found.values()];
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
};

/** The optimizer of a row as people write it. */
export function optimizerLabel({ optimizer, options }: Pick<AttackRow, 'optimizer' | 'options'>): string {
  const name = optimizerNames[optimizer] ?? optimizer;
  return optimizer === 'sgd' && Number(options?.momentum ?? 0) > 0 ? `${name} + momentum` : name;
}

/** What an adaptive attack does to a starting point before it trains, as the table names it. */
const afterwards: Readonly<Record<string, string>> = {
  clip: ', clipped',
  reset: ', reset',
  'clip-reset': ', clip + reset',
};

/** The table of an attack: one row for each starting point, attack and optimizer. */
export function attackTable(
  rows: readonly AttackRow[],
  { authorized = {}, target, perClass, metric = 'accuracy' }: AttackTableOptions,
): Table {
  const all = groups(rows);
  const seeds = rows[0]?.result.trials.length ?? 0;
  // The same attack on the unlocked model; it has nothing raised to clip, so fine-tuning stands for that.
  const unlockedCost = (attack: string, optimizer: string) => {
    const same = all.filter((group) => group.start === 'unlocked' && group.optimizer === optimizer);
    return (same.find((group) => group.attack === attack) ?? same.find((group) => group.attack === 'fine-tune'))?.cost;
  };
  const median = (row: AttackRow | undefined) => row && medianInterval(costs(row)).median;
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
    ],
    rows: all.map((group) => {
      const { start, attack, optimizer } = group;
      const isTraining = attack !== 'frozen';
      return {
        start: `${start}${afterwards[attack] ?? ''}`,
        authorized: start === 'random weights' ? MISSING : percent(authorized[`${start}${afterwards[attack] ?? ''}`]),
        attack: isTraining ? optimizerLabel(group) : 'frozen use',
        cost: group.cost ? formatCosts(group.cost) : MISSING,
        costRate: group.cost ? rate(group.cost.result.learningRate) : MISSING,
        slowdown:
          start === 'locked' && isTraining
            ? slowdown(median(group.cost), median(unlockedCost(attack, optimizer)))
            : MISSING,
        score: group.score ? formatScores(group.score) : MISSING,
        scoreRate: group.score ? rate(group.score.result.learningRate) : MISSING,
      };
    }),
    notes: [
      `Steps: median (least to most) over ${count(seeds, 'seed')}, all training examples; "> n" and "not within n": the budget of n steps ran out.`,
      'Slowdown: steps on the locked model over steps on the unlocked one, same attack and optimizer. Clipped: raised singular values cut back first; reset: linear layers drawn anew first.',
      `Score: mean (least to most) over ${count(seeds, 'seed')} of the best ${metric} on the way, ${perClass === undefined ? 'same runs' : `${perClass} labelled examples of each class`}.`,
      `lr: the best learning rate, searched with other seeds over ${decadesOf(rows)} decades, the same trials and steps for all.`,
    ],
  };
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}

/** Decades between the smallest and the largest learning rate that any optimizer tried. */
function decadesOf(rows: readonly AttackRow[]): string {
  const spans = [...new Set(rows.map(({ optimizer }) => optimizer))].map((name) => {
    const rates = rows
      .filter((row) => row.optimizer === name && row.attack !== 'frozen')
      .flatMap(({ result }) => result.search.map(({ learningRate }) => Math.log10(learningRate)));
    return rates.length === 0 ? 0 : Math.max(...rates) - Math.min(...rates);
  });
  const [least, most] = [Math.min(...spans), Math.max(...spans)].map((span) => decimal(span, 1));
  return least === most ? least : `${least} to ${most}`;
}

function formatCosts(row: AttackRow): string {
  const { median, low, high } = medianInterval(costs(row));
  return low.censored ? `not within ${row.budget}` : `${cost(median)} (${cost(low)} to ${cost(high)})`;
}

function formatScores(row: AttackRow): string {
  const values = scores(row);
  return `${percent(meanInterval(values).mean)} (${interval(100 * Math.min(...values), 100 * Math.max(...values))})`;
}

function rate(learningRate: number): string {
  const exponent = Math.floor(Math.log10(learningRate) + 1e-9);
  const digit = Math.round(learningRate / 10 ** exponent);
  return exponent >= 0 ? decimal(learningRate, learningRate < 10 ? 1 : 0) : `${digit}e${exponent}`.replace('-', '−');
}

/** The attacker's advantage in one sentence, also where nothing was measured. */
export function advantageSentence(advantage: Advantage): string {
  const { measure, value, unlocked, floor, isUpperBound } = advantage;
  const what = measure === 'cost' ? 'cost' : 'score';
  const floorName = floor.attack === 'frozen' ? 'frozen use of the outputs' : 'training from scratch';
  if (!isMeasured(advantage)) {
    return (
      `In ${what}, nothing is measured: the unlocked model (${summary(unlocked)}) cannot be told from the floor, ` +
      `${floorName} (${summary(floor)}), over ${value.n} seeds.`
    );
  }
  const bounds = `95 % interval ${interval(value.low, value.high, (bound) => decimal(bound, 2))}, n = ${value.n} seeds`;
  const atMost = isUpperBound ? 'at most ' : '';
  return `Attacker's advantage in ${what}: ${atMost}${decimal(value.ratio, 2)} (${bounds}); the floor is ${floorName} (${summary(floor)}).`;
}

/** What an adaptive attack does before it trains, in a sentence. */
const firstSteps: Readonly<Record<string, string>> = {
  clip: 'clipping the raised singular values, then ',
  reset: 'drawing the linear layers anew, then ',
  'clip-reset': 'clipping the raised singular values and drawing the linear layers anew, then ',
};

/** What the best attack did on the locked model, in one plain sentence. */
export function cheapestAttackSentence(advantage: Advantage): string {
  const { measure, locked, unlocked, floor } = advantage;
  const how = `${firstSteps[locked.attack] ?? ''}${optimizerLabel(locked)} at learning rate ${rate(locked.result.learningRate)}`;
  const verdict = compareToFloor(advantage);
  const goal =
    measure === 'cost' ? 'The cheapest attack on the locked model' : 'The best-scoring attack on the locked model';
  return `${goal} is ${how}: ${summary(locked)}, against ${summary(unlocked)} on the unlocked model and ${summary(floor)} for the floor. ${verdict}`;
}

function compareToFloor(advantage: Advantage): string {
  const { value, measure } = advantage;
  if (!isMeasured(advantage)) return 'What the lock takes from an attacker cannot be judged by this.';
  const { low = 0, high = 0 } = value;
  if (low > 0) return 'The attack still wins: the locked weights are worth more to it than none.';
  if (high < 0) return 'The lock holds: an attacker does better without the locked weights.';
  return measure === 'cost'
    ? 'The locked weights save an attacker no steps that these seeds could show.'
    : 'The locked weights give an attacker no score that these seeds could show.';
}

function summary(row: AttackRow): string {
  if (row.measure === 'score') return percent(meanInterval(scores(row)).mean);
  const { median } = medianInterval(costs(row));
  return `${cost(median)} steps`;
}
