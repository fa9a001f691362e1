import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSafetensors, parseSafetensors, readSafetensors, type SafetensorsFile } from '../../src/formats/index.js';
import { InputError } from '../../src/registry/index.js';
import { mutateSafetensors, seededRandom } from './safetensors-mutations.js';

const fixtures = new URL('../fixtures/safetensors/', import.meta.url);
const originals = ['everything', 'no-metadata', 'empty-metadata', 'no-tensors', 'only-metadata'].map(
  (name) => new Uint8Array(readFileSync(new URL(`${name}.safetensors`, fixtures))),
);

/**
 * Seconds of computing that no file may take: thousands of times the usual for a damaged file, ten times for a header of
 * 99 MB. Of the processor, not of the clock, which runs on while other processes have their turn.
 */
export const SLOWEST = 20;

/** Seconds of computing since the process began. */
export function computed(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** What became of the files of a fuzz run. */
export interface FuzzResult {
  accepted: number;
  refused: number;
  /** Bytes of all files together. */
  bytes: number;
  /** Seconds of computing for the slowest. */
  slowest: number;
  /** Different messages, names and numbers apart: how many of the parser's refusals were reached. */
  kinds: Set<string>;
}

/** A file of the run: damaged original number `index`. */
export function fuzzFile(seed: number, index: number): Uint8Array {
  const random = seededRandom(seed + index * 7919);
  return mutateSafetensors(originals[Math.floor(random() ** 2 * originals.length)], random);
}

/**
 * Parses files and throws at the first that does anything but succeed in full or fail with a one-line InputError.
 *
 * @param files - Yields the files; generated outside, so that allocations can be measured.
 */
export function fuzzParser(files: readonly Uint8Array[]): FuzzResult {
  const result: FuzzResult = { accepted: 0, refused: 0, bytes: 0, slowest: 0, kinds: new Set() };
  for (const [index, bytes] of files.entries()) {
    const start = computed();
    const outcome = attempt(() => parseSafetensors(bytes, 'f'), index);
    const took = computed() - start;
    if (took > SLOWEST) throw new Error(`file ${index}: took ${took} s`);
    result.slowest = Math.max(result.slowest, took);
    result.bytes += bytes.length;
    if (typeof outcome === 'string') {
      result.refused++;
      result.kinds.add(outcome.replace(/"[^"]*"|-?\d+|found.*/g, ''));
    } else {
      result.accepted++;
      checkAccepted(outcome, bytes, index);
    }
  }
  return result;
}

/** Reads files from disk and throws at the first that is not what parsing it in memory gives; says how many were equal. */
export async function fuzzReader(files: readonly Uint8Array[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'weightlock-fuzz-'));
  const path = join(folder, 'f');
  let equal = 0;
  try {
    for (const [index, bytes] of files.entries()) {
      writeFileSync(path, bytes);
      const parsed = attempt(() => parseSafetensors(bytes, path), index);
      const read = await readSafetensors(path).catch((error: unknown) => messageOf(error, index));
      const same =
        typeof parsed === 'string' || typeof read === 'string'
          ? parsed === read
          : Buffer.compare(encodeSafetensors(parsed), encodeSafetensors(read)) === 0;
      if (!same) throw new Error(`file ${index}: read and parsed differ: ${String(read)}, ${String(parsed)}`);
      equal++;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return equal;
}

/** Parses files and drops the results: what {@link fuzzParser} does besides would blur a measurement. */
export function parseOnly(files: readonly Uint8Array[]): void {
  for (const [index, bytes] of files.entries()) attempt(() => parseSafetensors(bytes, 'f'), index);
}

function attempt(parse: () => SafetensorsFile, index: number): SafetensorsFile | string {
  try {
    return parse();
  } catch (error) {
    return messageOf(error, index);
  }
}

function messageOf(error: unknown, index: number): string {
  if (!(error instanceof InputError)) throw new Error(`file ${index}: threw ${String(error)}`, { cause: error });
  const { message } = error;
  if (message.length > 2000 || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(message)) {
    throw new Error(`file ${index}: the message is no short line: ${JSON.stringify(message.slice(0, 500))}`);
  }
  return message;
}

/** An accepted file holds views of the input that cover its data, and survives being written and read again. */
function checkAccepted(file: SafetensorsFile, bytes: Uint8Array, index: number): void {
  const covered = file.tensors.reduce((sum, tensor) => sum + tensor.bytes.length, 0);
  const header = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (covered !== bytes.length - 8 - header) throw new Error(`file ${index}: ${covered} bytes covered`);
  if (file.tensors.some((tensor) => tensor.bytes.buffer !== bytes.buffer)) throw new Error(`file ${index}: a copy`);
  const written = encodeSafetensors(file);
  const again = encodeSafetensors(parseSafetensors(written, 'again'));
  if (Buffer.compare(written, again) !== 0) throw new Error(`file ${index}: changes when written and read again`);
}
