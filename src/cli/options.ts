import { Option } from 'commander';
import type { z } from 'zod';
import { InputError, inWords, shown } from '../registry/index.js';
import type { OptionSet, OptionSpec, OptionsSchema } from './option-spec.js';
import { didYouMean } from './suggest.js';

/** Where an option's value came from. */
export type Source = 'default' | 'file' | 'flag';

/** Options after defaults < file < flags were merged and checked. */
export interface ResolvedOptions<S extends OptionsSchema> {
  /** The parsed options. */
  options: z.output<S>;
  /** Where each key's value came from. */
  sources: ReadonlyMap<string, Source>;
}

/** A commander option and the spec it feeds; booleans have two. */
export interface Flag {
  /** What commander parses. */
  option: Option;
  /** The option it sets. */
  spec: OptionSpec;
}

/** Makes the commander flags of a set of options, in its order. Values stay text until {@link resolveOptions}. */
export function flagsOf(set: OptionSet): Flag[] {
  return set.specs.flatMap((spec) => {
    if (spec.kind === 'file') return [];
    const help = helpOf(spec);
    if (spec.kind === 'boolean') {
      // The positive one first: commander gives a lone --no-x a default of true, and defaults are the schema's alone.
      const negative = new Option(`--no-${spec.flag.slice(2)}`).hideHelp();
      return [
        { option: new Option(spec.flag, help), spec },
        { option: negative, spec },
      ];
    }
    const option = valueFlag(`${spec.flag} <${placeholder(spec)}>`, help);
    if (spec.kind === 'list') {
      option.argParser((text: string, before: string[] | undefined) => [
        ...(before ?? []),
        ...splitList(noFlag(option, text)),
      ]);
    }
    return [{ option, spec }];
  });
}

/** A flag that takes one text and refuses another flag in its place. */
export function valueFlag(flags: string, help: string): Option {
  const option = new Option(flags, help);
  return option.argParser((text: string) => noFlag(option, text));
}

/** Commander takes whatever follows: in `--runs --json`, --json would name a folder. */
function noFlag(option: Option, text: string): string {
  if (text.startsWith('--')) throw new InputError(`${option.long}: expected a value, got the flag ${text}`);
  return text;
}

/** How `--help` writes a flag: booleans as `--[no-]shuffle`, others as commander does. */
export function flagTerm(spec: OptionSpec, option: Option): string {
  return spec.kind === 'boolean' ? `--[no-]${spec.flag.slice(2)}` : option.flags;
}

/**
 * Merges defaults, the file's values and the flags', and checks the whole.
 *
 * @param values - `flags`: values of the flags that were given, by key; `file`: values of the YAML file, by key; `presets`: what stands in
 *   for defaults, by key.
 * @throws InputError, one line: key, what was expected, what came, from where.
 */
export function resolveOptions<S extends OptionsSchema>(
  schema: S,
  set: OptionSet,
  values: {
    flags: ReadonlyMap<string, unknown>;
    file: ReadonlyMap<string, unknown>;
    presets?: ReadonlyMap<string, unknown>;
    fileName?: string;
  },
): ResolvedOptions<S> {
  const raw: Record<string, unknown> = structuredClone(set.baseline);
  const texts = new Map<string, unknown>();
  const sources = new Map<string, Source>();
  for (const spec of set.specs) {
    sources.set(spec.key, 'default');
    if (values.presets?.has(spec.key)) setAt(raw, spec.key, structuredClone(values.presets.get(spec.key)));
    if (values.file.has(spec.key)) {
      setAt(raw, spec.key, fromFile(spec, values.file.get(spec.key)));
      sources.set(spec.key, 'file');
    }
    if (values.flags.has(spec.key)) {
      texts.set(spec.key, values.flags.get(spec.key));
      setAt(raw, spec.key, fromText(spec, values.flags.get(spec.key)));
      sources.set(spec.key, 'flag');
    }
  }
  const parsed = schema.safeParse(raw, { error: inWords });
  if (parsed.success) return { options: parsed.data, sources };
  const [issue, ...others] = parsed.error.issues;
  if (issue === undefined) throw parsed.error;
  const more = others.length > 0 ? ` (and ${others.length} more)` : '';
  throw new InputError(`${explain(issue, { raw, texts, set, sources, fileName: values.fileName })}${more}`);
}

/** What an issue is explained with: the values, the texts of flags as they were typed, and where each came from. */
interface Given {
  raw: unknown;
  texts: ReadonlyMap<string, unknown>;
  set: OptionSet;
  sources: ReadonlyMap<string, Source>;
  fileName?: string;
}

function explain(
  issue: z.core.$ZodIssue,
  { raw, texts, set, sources, fileName = 'configuration file' }: Given,
): string {
  const named = issue.path.map(String);
  const found = named.join('.');
  // Of a whole group that is out of place, what was given says where it came from.
  const isGiven = ({ key }: OptionSpec) => key.startsWith(`${found}.`) && sources.get(key) !== 'default';
  const spec = set.specs.find(({ key }) => `${found}.`.startsWith(`${key}.`)) ?? set.specs.find(isGiven);
  // A rule over several options has its own words, and perhaps no key.
  if (!spec) return [found, issue.message].filter((part) => part).join(': ');
  const path = spec.key.startsWith(`${found}.`) ? spec.key.split('.') : named;
  const value = path.reduce<unknown>(
    (at, name) => (isRecord(at) || Array.isArray(at) ? Reflect.get(at, name) : at),
    raw,
  );
  const source = sources.get(spec.key);
  const origin = source === 'flag' ? `flag ${spec.flag}` : source === 'file' ? fileName : 'default';
  // Not a value but a tree, whose rules say at which place.
  if (spec.kind === 'file') return `${found}: ${issue.message} (${origin})`;
  // Of a missing value its rule says all.
  if (issue.code === 'custom' && value === undefined) return `${spec.key}: ${issue.message}`;
  if (issue.code === 'custom') return `${spec.key}: ${issue.message}, got ${shown(value)} (${origin})`;
  if (value === undefined) {
    return `${spec.key}: expected ${spec.expectation}, got nothing; give ${spec.flag} or the key in --config`;
  }
  const nearest = typeof value === 'string' && spec.choices ? didYouMean(value, spec.choices.map(String)) : '';
  const got = (source === 'flag' ? typedNumber(texts.get(spec.key), path.at(-1)) : undefined) ?? shown(value);
  return `${spec.key}: expected ${expectationFor(spec, value)}, got ${got} (${origin})${nearest}`;
}

/** What is allowed, with the limits that go without saying until a value breaks them. */
function expectationFor({ expectation, types }: OptionSpec, value: unknown): string {
  if (typeof value !== 'number') return expectation;
  if (!Number.isFinite(value)) return expectation.replace('a number', 'a finite number');
  const isInexact = types.has('integer') && Math.abs(value) > Number.MAX_SAFE_INTEGER;
  return isInexact ? `${expectation}, of at most ${Number.MAX_SAFE_INTEGER} (larger ones are not exact)` : expectation;
}

/** A number as it was typed: read as a number it may have been rounded already. */
function typedNumber(typed: unknown, place: string | undefined): string | undefined {
  const text: unknown = Array.isArray(typed) ? typed[Number(place)] : typed;
  return typeof text === 'string' && isNumber(text) ? text.trim() : undefined;
}

/** One of the names that can be chosen stands for a list of it alone. */
function fromFile({ kind, choices }: OptionSpec, value: unknown): unknown {
  return kind === 'list' && choices && typeof value === 'string' ? [value] : value;
}

/** Gives a flag's text the type its option wants; text that fits no type stays text, and the schema refuses it. */
function fromText(spec: OptionSpec, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => fromText({ ...spec, kind: 'value' }, item));
  if (typeof value !== 'string') return value;
  if ((spec.types.has('number') || spec.types.has('integer')) && isNumber(value)) return Number(value);
  if (spec.types.has('boolean') && (value === 'true' || value === 'false')) return value === 'true';
  if (spec.types.has('null') && value === 'null') return null;
  return value;
}

function isNumber(text: string): boolean {
  return /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text.trim());
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** An option's line of help. */
export function helpOf(spec: OptionSpec): string {
  const facts = spec.kind === 'boolean' ? [] : [spec.expectation];
  // A description says what an empty list stands for, such as all classes.
  const isSaid = isEmpty(spec.defaultValue) && /\bdefault\b/.test(spec.description);
  if (spec.defaultValue !== undefined && !isSaid) facts.push(`default: ${showDefault(spec.defaultValue)}`);
  return [sentence(spec.description), facts.length > 0 ? `(${facts.join('; ')})` : ''].filter((part) => part).join(' ');
}

/** Descriptions in schemas serve flags, files and docs; as help they are sentences. */
export function sentence(text: string): string {
  if (text === '') return '';
  const end = /[.!?]$/.test(text) ? '' : '.';
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${end}`;
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** A default value as help shows it. */
export function showDefault(value: unknown): string {
  if (isEmpty(value)) return 'none';
  if (Array.isArray(value)) return value.map(String).join(',');
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value);
}

function placeholder(spec: OptionSpec): string {
  const name = spec.choices ? 'name' : spec.types.has('integer') ? 'n' : spec.types.has('number') ? 'number' : 'text';
  return spec.kind === 'list' ? `${name},...` : name;
}

/** Sets `a.b.c` in nested objects, making those that lack. */
function setAt(root: Record<string, unknown>, key: string, value: unknown): void {
  const path = key.split('.');
  const last = path.pop() ?? key;
  let at = root;
  for (const name of path) {
    const inner = at[name];
    if (isRecord(inner)) at = inner;
    else {
      const made: Record<string, unknown> = {};
      at[name] = made;
      at = made;
    }
  }
  at[last] = value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
