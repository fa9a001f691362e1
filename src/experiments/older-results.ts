import { type AttackRow, attacks, factsOf, starts, type Trial } from '../attacks/index.js';

/** A search as versions before 0.2 wrote it: what is known of its attack was its name alone. */
type OlderRow = Pick<AttackRow, 'start' | 'measure' | 'optimizer' | 'options' | 'budget' | 'result'> & {
  readonly attack: string;
};

/** A result that may be of an older version, with utilities, rows and trials as this one writes them, wherever they stand in it. */
export function withCurrentForms<T>(result: T): T {
  return current(result) as T;
}

function current(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(current);
  if (typeof value !== 'object' || value === null) return value;
  const read = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, current(inner)]));
  if (isOlderTrial(read)) return currentTrial(read);
  if (isOlderEvaluation(read)) return currentEvaluation(read);
  if (isOlderChange(read)) return currentChange(read);
  if (isOlderAttack(read)) return currentAttack(read);
  if (isOlderAttacked(read)) return { metric: 'accuracy', notes: [], ...read };
  return isOlderRow(read) ? currentRow(read) : read;
}

/** A trial as versions before 0.2 wrote it: accuracy was all that was measured, of each class at the end. */
type OlderTrial = Omit<Trial, 'metrics' | 'end'> & {
  readonly classAccuracies: readonly number[];
  readonly end: Trial['end'] | 'hopeless';
};

function isOlderTrial(value: object): value is OlderTrial {
  return 'classAccuracies' in value && Array.isArray(value.classAccuracies) && !('metrics' in value);
}

function currentTrial({ classAccuracies, end, ...trial }: OlderTrial): Trial {
  const metrics = Object.fromEntries(classAccuracies.map((value, label) => [`recall.${label}`, value]));
  return { ...trial, end: end === 'hopeless' ? 'given up' : end, metrics };
}

function isOlderRow(value: object): value is OlderRow {
  if (!('attack' in value) || !('start' in value) || !('result' in value) || 'kind' in value) return false;
  // What this version does not know stays as it is.
  return attacks.names().includes(String(value.attack)) && starts.names().includes(String(value.start));
}

function currentRow({ attack: name, start, ...row }: OlderRow): AttackRow {
  const attack = attacks.get(name);
  return {
    ...row,
    ...factsOf(attack, starts.get(start)),
    composition: {
      transforms: attack.transforms.map((transform) => ({ name: transform.name, options: {} })),
      trained: { name: attack.trained.name },
      optimizer: { name: row.optimizer, options: row.options },
    },
  };
}

/** An evaluation or utility as versions before 0.2 wrote it, of classes. */
interface OlderEvaluation {
  readonly n: number;
  readonly byClass: readonly { readonly examples: number; readonly predicted: number; readonly correct: number }[];
  readonly logits?: readonly [number, number] | null;
  readonly [measured: string]: unknown;
}

function isOlderEvaluation(value: Record<string, unknown>): value is Record<string, unknown> & OlderEvaluation {
  return 'byClass' in value && Array.isArray(value.byClass) && 'accuracy' in value && !('metrics' in value);
}

function currentEvaluation({ n, byClass, logits, ...metrics }: OlderEvaluation) {
  const range = logits === undefined ? {} : { leastLogit: logits?.[0] ?? null, largestLogit: logits?.[1] ?? null };
  const classes = byClass.flatMap(({ examples, predicted, correct }, label) => [
    [`recall.${label}`, examples > 0 ? correct / examples : null],
    [`f1.${label}`, examples + predicted > 0 ? (2 * correct) / (examples + predicted) : 0],
  ]);
  return { n, metrics: { ...metrics, ...range, ...Object.fromEntries(classes) } };
}

/** A utility before and after a lock: that it was measured on classes went without saying. */
function isOlderChange(value: Record<string, unknown>): boolean {
  const isByType = (side: unknown) => typeof side === 'object' && side !== null && 'float32' in side;
  return isByType(value.before) && isByType(value.after) && !('task' in value);
}

function currentChange(value: Record<string, unknown>) {
  const { float32 } = value.before as { float32: { metrics: Record<string, unknown> } };
  const classes = Object.keys(float32.metrics).filter((name) => name.startsWith('recall.')).length;
  return { task: 'classification', guessing: 1 / classes, ...value };
}

/** The attacks of a reproduction, with a number of classes for the score of guessing. */
function isOlderAttack(value: Record<string, unknown>): value is Record<string, unknown> & { classes: number } {
  return typeof value.classes === 'number' && Array.isArray(value.rows) && !('guessing' in value);
}

function currentAttack({ classes, ...value }: Record<string, unknown> & { classes: number }) {
  return { ...value, guessing: 1 / classes };
}

/** What an attack or the demo found: the score was accuracy. */
function isOlderAttacked(value: Record<string, unknown>): boolean {
  return Array.isArray(value.rows) && 'measure' in (value.rows[0] ?? {}) && !('metric' in value);
}
