import type { RunFolder } from '../evidence/index.js';
import { flagName } from './option-spec.js';
import type { Source } from './options.js';

/** What a run is of, in one sentence: the command line that gives it (without what is as by default), and its folder. */
export function describeRun(
  command: string,
  given: {
    config: Readonly<Record<string, unknown>>;
    arguments: Readonly<Record<string, string | string[] | undefined>>;
    sources: ReadonlyMap<string, Source>;
    flags: readonly (readonly [key: string, flag: string])[];
    folder: Pick<RunFolder, 'path' | 'resumed'>;
  },
): string {
  const values = new Map(flatten(given.config, ''));
  const options = given.flags.flatMap(([key, flag]) =>
    given.sources.get(key) === 'default' ? [] : flagWords(flag, values.get(key)),
  );
  const words = Object.values(given.arguments)
    .flat()
    .filter((word) => word !== undefined)
    .map(shellWord);
  const { path, resumed } = given.folder;
  return `${['weightlock', command, ...words, ...options].join(' ')}: ${path}${resumed ? ' (resumed)' : ''}`;
}

/** Flags of some keys with the values that options have there, in the words of a command line; none of keys without a value. */
export function givenWords(options: Readonly<Record<string, unknown>>, keys: Iterable<string>): string[] {
  const values = new Map(flatten(options, ''));
  return [...keys].flatMap((key) => flagWords(flagName(key), values.get(key)));
}

function flagWords(flag: string, value: unknown): string[] {
  if (value === undefined) return [];
  if (typeof value === 'boolean') return [value ? flag : flag.replace(/^--/, '--no-')];
  return [`${flag} ${shellWord(Array.isArray(value) ? value.map(String).join(',') : String(value))}`];
}

/** A text as one word of a command line, in which a shell replaces nothing. */
export function shellWord(text: string): string {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  return /["$`\\!]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`;
}

/** The resolved configuration, one key a line, with the source of what is no default. */
export function describeConfig(
  command: string,
  config: Readonly<Record<string, unknown>>,
  sources: ReadonlyMap<string, Source>,
): string {
  const rows = flatten(config, '').map(([key, value]): [string, string, string] => {
    const source = sources.get(key);
    return [key, JSON.stringify(value), source && source !== 'default' ? `(${source})` : ''];
  });
  const width = Math.max(...rows.map(([key]) => key.length));
  const lines = rows.map(([key, value, source]) => `  ${key.padEnd(width)}  ${value}  ${source}`.trimEnd());
  return [`weightlock ${command}`, ...lines].join('\n');
}

function flatten(value: Readonly<Record<string, unknown>>, prefix: string): [string, unknown][] {
  return Object.entries(value).flatMap(([name, inner]): [string, unknown][] => {
    const key = `${prefix}${name}`;
    if (inner === undefined) return [];
    const isGroup = typeof inner === 'object' && inner !== null && !Array.isArray(inner);
    return isGroup ? flatten(inner as Record<string, unknown>, `${key}.`) : [[key, inner]];
  });
}
