import type { z } from 'zod';
import { knownOptions, type TransformOptions, trainedParts, transforms } from '../attacks/index.js';
import { type LockKnowledge, namesLocked } from '../locks/index.js';
import type { Model, ModelCard } from '../models/index.js';
import { InputError, inWords, parseOptions } from '../registry/index.js';
import { methodOf } from './sweep/lock-draw.js';

/** What an attacker knows of how a model was locked. */
export interface KnownLock {
  /** Name of the lock method; of several stages all of them. */
  readonly method: string;
  /** What it reveals. */
  readonly knowledge: LockKnowledge;
}

/** Options of a lock are written by a program, from its defaults and a few flags; a longer record is a mistake, or worse. */
const maxCharacters = 100_000;
/** More stages than anyone makes. */
const mostStages = 16;

/**
 * What a model's card says of its lock. Cards come from strangers: method and options must be ones that the registry takes, and what
 * they say must fit the model.
 *
 * @returns `problem`: why the record cannot be used, one line; nothing of a model whose card says nothing of a lock.
 */
export function lockOfCard(
  { lock }: ModelCard,
  model: Model,
): { readonly known?: KnownLock; readonly problem?: string } {
  if (!lock) return {};
  try {
    if (JSON.stringify(lock.options).length > maxCharacters) {
      throw new InputError(`expected options of at most ${maxCharacters} characters`);
    }
    const names = lock.method.split(',');
    if (names.length > mostStages) throw new InputError(`expected at most ${mostStages} stages, got ${names.length}`);
    const method = methodOf(names);
    const parsed = method.options.safeParse(lock.options, { error: inWords });
    if (!parsed.success) throw new InputError(`options of ${lock.method}: ${complaint(parsed.error.issues[0])}`);
    const knowledge = method.reveals?.(parsed.data) ?? {};
    if (knowledge.raised) namesLocked(method, model.weights, parsed.data, model);
    return { known: { method: lock.method, knowledge } };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { problem: `README.md: lock: ${shortened(error.message)}; what it says of the lock is not used` };
  }
}

function complaint(issue: z.core.$ZodIssue): string {
  return [...(issue.path.length > 0 ? [issue.path.join('.')] : []), issue.message].join(': ');
}

/**
 * What an attacker makes of what he knows of a lock, beside his options: these stay where they were given.
 *
 * @param options - Parsed options of an attack, those of transforms and trained parts under their names.
 * @param isGiven - Whether an option was given, by its key, though it is what it is by default; others are given where they are not.
 */
export function optionsOfKnown(
  { knowledge }: KnownLock,
  options: object,
  isGiven: (key: string) => boolean = () => false,
): TransformOptions {
  const given = options as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    Object.entries(knownOptions(knowledge)).map(([name, known]) => {
      const entry = transforms.names().includes(name) ? transforms.get(name) : trainedParts.get(name);
      const usual: unknown = parseOptions(entry.options as z.ZodObject, {}, name);
      return [name, filledIn(known, { own: given[name] ?? usual, usual }, name, isGiven) as TransformOptions[string]];
    }),
  );
}

/** A value that is known, unless another was given; of a group each of its keys. */
function filledIn(
  known: unknown,
  { own, usual }: { own: unknown; usual: unknown },
  key: string,
  isGiven: (key: string) => boolean,
): unknown {
  if (isGroup(known) || (known === undefined && isGroup(own))) {
    const parts = [known, own, usual].map((part) => (isGroup(part) ? part : {}));
    const [ofKnown, ofOwn, ofUsual] = parts;
    const keys = [...new Set([...Object.keys(ofOwn), ...Object.keys(ofKnown)])];
    return Object.fromEntries(
      keys.map((each) => [
        each,
        filledIn(ofKnown[each], { own: ofOwn[each], usual: ofUsual[each] }, `${key}.${each}`, isGiven),
      ]),
    );
  }
  const isOwn = own !== undefined && (isGiven(key) || JSON.stringify(own) !== JSON.stringify(usual));
  return isOwn || known === undefined ? own : known;
}

const isGroup = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What an attacker knows, in one sentence; undefined where that is of no use to him. */
export function whatIsKnown({ method, knowledge: { raised, mixed } }: KnownLock): string | undefined {
  const facts = [
    ...(mixed ? [`mixed ${Number((100 * mixed.a).toPrecision(3))} % of fresh numbers into the weights`] : []),
    ...(raised ? [raisedInWords(raised)] : []),
  ];
  if (facts.length === 0) return undefined;
  return `Taken for known: ${shortened(`${method} ${facts.join(', and ')}`)}; options that were given stay.`;
}

function raisedInWords(raised: NonNullable<LockKnowledge['raised']>): string {
  const { topK, include, exclude = [], lead } = raised;
  const of = include ? `the matrices ${include.join(', ')}` : 'each matrix';
  const without = exclude.length > 0 ? ` without ${exclude.join(', ')}` : '';
  const more = lead.include.length > 0 ? `, ${lead.topK} of ${lead.include.join(', ')}` : '';
  const values = topK === 1 ? '1 singular value' : `${topK} singular values`;
  return `raised ${values} of ${of}${without}${more}`;
}

/** A text that a stranger had a part in. */
function shortened(text: string): string {
  return text.length > 300 ? `${text.slice(0, 299)}…` : text;
}
