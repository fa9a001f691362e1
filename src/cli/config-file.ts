import { parseDocument } from 'yaml';
import { readFileCapped } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import { didYouMean } from './suggest.js';

/** A configuration is written by hand; a larger file is a mistake. */
const MAX_BYTES = 2 ** 20;
/** Nested aliases multiply: nine lines can stand for a billion values. Hand-written files use a few. */
const MAX_ALIASES = 32;

/** Keys a configuration file may hold. */
export interface KnownKeys {
  /** Keys with a value, groups joined by dots. */
  keys: ReadonlySet<string>;
  /** Keys whose value is a map of further keys. */
  groups: ReadonlySet<string>;
}

/**
 * Reads a YAML configuration file.
 *
 * @returns Values by key, groups joined by dots: `optimizer.learningRate`.
 * @throws InputError when the file is missing, above 1 MiB, no YAML map, or holds an unknown or repeated key.
 */
export async function readConfigFile(path: string, known: KnownKeys): Promise<Map<string, unknown>> {
  if (path === '') throw new InputError('--config: expected a file, got an empty name');
  return parseConfig(await readFileCapped(path, MAX_BYTES), path, known);
}

/** Parses the bytes of a configuration file; see {@link readConfigFile}. */
export function parseConfig(bytes: Uint8Array, source: string, known: KnownKeys): Map<string, unknown> {
  const value = parseYaml(bytes, source);
  const values = new Map<string, unknown>();
  if (value !== null) collect(value, '', source, known, values);
  return values;
}

/** Parses YAML, which a stranger may have written.
 *
 * @throws InputError naming the place in the source.
 */
export function parseYaml(bytes: Uint8Array, source: string): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new InputError(`${source}: expected UTF-8 text, found other bytes`);
  }
  try {
    const document = parseDocument(text, { uniqueKeys: true });
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem) throw problem;
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    // The first line of the parser's message ends with the place: "... at line 3, column 1:".
    const reason = error instanceof Error ? error.message.replace(/:?\n.*|:$/s, '') : String(error);
    throw new InputError(`${source}: expected YAML, ${reason}`);
  }
}

function collect(value: unknown, prefix: string, source: string, known: KnownKeys, values: Map<string, unknown>): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const found = value === null ? 'nothing' : Array.isArray(value) ? 'a list' : JSON.stringify(value);
    throw new InputError(`${source}: ${prefix || 'top level'}: expected keys with values, got ${found}`);
  }
  for (const [name, inner] of Object.entries(value)) {
    const key = prefix ? `${prefix}.${name}` : name;
    if (known.groups.has(key)) {
      collect(inner, key, source, known, values);
    } else if (!known.keys.has(key)) {
      const all = [...known.keys, ...known.groups];
      throw new InputError(`${source}: unknown key ${JSON.stringify(key)}${didYouMean(key, all)}`);
    } else if (values.has(key)) {
      throw new InputError(`${source}: key ${JSON.stringify(key)} is given twice`);
    } else {
      values.set(key, inner);
    }
  }
}
