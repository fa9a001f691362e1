import { createHash } from 'node:crypto';
import { InputError } from '../registry/index.js';

/**
 * Writes plain data as JSON in one form only: keys sorted by UTF-16 code unit, no spaces, numbers as the shortest
 * decimal that reads back as the same double (-0 as 0), `undefined` properties left out.
 *
 * @param value - null, booleans, finite numbers, strings, arrays and plain objects of these.
 * @throws InputError when a value has no exact JSON form (NaN, Infinity, bigint, class instances); names its key.
 * @see RFC 8785, JSON Canonicalization Scheme.
 */
export function canonicalJson(value: unknown): string {
  return write(value, '');
}

function write(value: unknown, key: string): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item, index) => write(item, `${key}[${index}]`)).join(',')}]`;
  if (isPlainObject(value)) {
    const members = Object.keys(value)
      .filter((name) => value[name] !== undefined)
      .sort()
      .map((name) => `${JSON.stringify(name)}:${write(value[name], key ? `${key}.${name}` : name)}`);
    return `{${members.join(',')}}`;
  }
  const found = typeof value === 'object' ? `a ${value.constructor.name}` : String(value);
  throw new InputError(`configuration key ${key || '(root)'}: expected plain JSON data, found ${found}`);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * Names a configuration: the first 12 hexadecimal digits of SHA-256 over the canonical JSON of (command, config).
 *
 * 48 bits: a run folder still compares the whole configuration, so a collision is an error and never a mix-up.
 *
 * @throws InputError when the configuration is not plain JSON data.
 */
export function configHash(command: string, config: Readonly<Record<string, unknown>>): string {
  return createHash('sha256').update(canonicalJson({ command, config }), 'utf8').digest('hex').slice(0, 12);
}

/** Where two pieces of plain data first differ. */
export interface Difference {
  /** Key path, such as `optimizer.learningRate` or `layers[1]`. */
  key: string;
  /** What the first one holds there, or undefined. */
  expected: unknown;
  /** What the second one holds there, or undefined. */
  found: unknown;
}

/** Finds the first key, in sorted order, at which two pieces of plain data differ; undefined when they are equal. */
export function firstDifference(expected: unknown, found: unknown, key = ''): Difference | undefined {
  const bothArrays = Array.isArray(expected) && Array.isArray(found);
  if (bothArrays || (isPlainObject(expected) && isPlainObject(found))) {
    const [left, right] = [expected as Record<string, unknown>, found as Record<string, unknown>];
    for (const name of [...new Set([...Object.keys(left), ...Object.keys(right)])].sort()) {
      const inner = bothArrays ? `${key}[${name}]` : key ? `${key}.${name}` : name;
      const difference = firstDifference(left[name], right[name], inner);
      if (difference) return difference;
    }
    return undefined;
  }
  // -0 and 0 have one canonical form, so `===` is the right question here.
  return expected === found ? undefined : { key: key || '(root)', expected, found };
}
