import type { TensorHeader } from '../formats/index.js';
import type { StateSpec } from '../nn/index.js';
import { InputError, matchesAny, quote } from '../registry/index.js';

/**
 * In what a file of weights may differ from the entries that an architecture declares. What is not named here is strict; only
 * counters may be missing in any case (PyTorch before 0.4.1 had none). Files are written back as they were.
 */
export interface StateDictPolicy {
  /**
   * Prefixes that names of files have and declared ones have not, or the other way round: `module.` (DataParallel), `model.`,
   * `bert.` (a base model without head).
   */
  readonly prefixes?: readonly string[];
  /**
   * Other names of entries, their name without prefix each, `*` on both sides for the same characters:
   * `{ '*.LayerNorm.gamma': '*.LayerNorm.weight' }`.
   */
  readonly aliases?: Readonly<Record<string, string>>;
  /**
   * Tensors that are a declared entry under another name, by that name: `{ 'lm_head.weight': 'embed_tokens.weight' }`. A file
   * may hold one of the two or both, with equal values; there is one parameter.
   */
  readonly ties?: Readonly<Record<string, string>>;
  /** Patterns of saved tensors that nothing is computed with, such as `*position_ids`: kept to the byte. */
  readonly ignorable?: readonly string[];
  /** Patterns of declared entries that are drawn anew where they are missing, such as a head: `classifier.*`. */
  readonly initializable?: readonly string[];
}

/** What the tensors of a file are to an architecture. */
export interface MatchedTensors {
  /** Declared entry of each tensor by its name in the file; ignorable tensors are not in it. */
  readonly declared: ReadonlyMap<string, string>;
  /** Tensors that no entry knows and the policy does not ignore. */
  readonly unknown: readonly TensorHeader[];
  /** Declared entries to draw anew. */
  readonly fresh: readonly StateSpec[];
}

/**
 * Finds the declared entry of each tensor of a file: by its own name, or else without prefixes, by alias or tie.
 *
 * @param source - File or folder, for the message.
 * @throws InputError when two tensors are the same entry and no tie says so.
 */
export function matchTensors(
  headers: readonly TensorHeader[],
  specs: readonly StateSpec[],
  { prefixes = [], aliases = {}, ties = {}, ignorable = [], initializable = [] }: StateDictPolicy,
  source: string,
): MatchedTensors {
  const names = new Set(specs.map(({ name }) => name));
  const bare = (name: string) => withoutPrefixes(name, prefixes);
  const byBareName = new Map(specs.map(({ name }) => [bare(name), name]));
  const tied = new Map(Object.entries(ties).map(([name, entry]) => [bare(name), entry]));
  const isIgnorable = matchesAny(ignorable);
  const declared = new Map<string, string>();
  const owners = new Map<string, string>();
  const unknown: TensorHeader[] = [];
  for (const header of headers) {
    const { name } = header;
    const own = bare(name);
    const renamed = bare(withoutAlias(own, aliases));
    const tie = names.has(name) ? undefined : (tied.get(own) ?? tied.get(renamed));
    const entry = names.has(name) ? name : (tie ?? byBareName.get(renamed));
    if (entry === undefined || !names.has(entry)) {
      if (!isIgnorable(name) && !isIgnorable(own)) unknown.push(header);
      continue;
    }
    declared.set(name, entry);
    if (tie !== undefined) continue;
    const owner = owners.get(entry);
    if (owner !== undefined) {
      throw new InputError(`${source}: expected one tensor ${quote(entry)}, found ${quote(owner)} and ${quote(name)}`);
    }
    owners.set(entry, name);
  }
  const present = new Set(declared.values());
  const mayBeDrawn = matchesAny(initializable);
  const fresh = specs.filter(({ name, kind }) => kind !== 'counter' && !present.has(name) && mayBeDrawn(name));
  return { declared, unknown, fresh };
}

function withoutPrefixes(name: string, prefixes: readonly string[]): string {
  const prefix = prefixes.find((each) => name.startsWith(each) && name.length > each.length);
  return prefix ? withoutPrefixes(name.slice(prefix.length), prefixes) : name;
}

function withoutAlias(name: string, aliases: Readonly<Record<string, string>>): string {
  for (const [from, to] of Object.entries(aliases)) {
    const [start, end] = from.split('*', 2);
    if (end === undefined ? name !== from : !(name.startsWith(start) && name.endsWith(end))) continue;
    if (end === undefined) return to;
    if (name.length < from.length - 1) continue;
    return to.replace('*', () => name.slice(start.length, name.length - end.length));
  }
  return name;
}
