import { type AttackRow, attacks, factsOf, starts, type Trial } from '../attacks/index.js';

/** A search as versions before 0.2 wrote it: what is known of its attack was its name alone. */
type OlderRow = Pick<AttackRow, 'start' | 'measure' | 'optimizer' | 'options' | 'budget' | 'result'> & {
  readonly attack: string;
};

/** A result that may be of an older version, with rows and trials of attacks as this one writes them, wherever they stand in it. */
export function withCurrentRows<T>(result: T): T {
  return current(result) as T;
}

function current(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(current);
  if (typeof value !== 'object' || value === null) return value;
  const read = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, current(inner)]));
  if (isOlderTrial(read)) return currentTrial(read);
  // Of attacks of the command: other results name what they measured, or hold more that is of another version.
  if (Array.isArray(read.rows) && !('metric' in read) && !('lock' in read)) return { metric: 'accuracy', ...read };
  return isOlderRow(read) ? currentRow(read) : read;
}

/** A trial as versions before 0.2 wrote it: accuracy was all that was measured, of each class at the end. */
type OlderTrial = Omit<Trial, 'metrics'> & { readonly classAccuracies: readonly number[] };

function isOlderTrial(value: object): value is OlderTrial {
  return 'classAccuracies' in value && Array.isArray(value.classAccuracies) && !('metrics' in value);
}

function currentTrial({ classAccuracies, ...trial }: OlderTrial): Trial {
  return { ...trial, metrics: Object.fromEntries(classAccuracies.map((value, label) => [`recall.${label}`, value])) };
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
