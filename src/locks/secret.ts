import { createHash, randomBytes } from 'node:crypto';
import { RandomStream } from '../linalg/index.js';
import { InputError } from '../registry/index.js';

/**
 * What decides the numbers that a lock draws into the weights: a secret of 32 hexadecimal digits; or a seed, which anyone can guess.
 */
export type LockSecret = string | number;

/** The numbers for a purpose; another purpose has others. */
export type Draws = (purpose: string) => RandomStream;

/** A secret of 128 bits that nobody knows yet. */
export function freshSecret(): string {
  return randomBytes(16).toString('hex');
}

/** A secret that follows from a seed, where a run is to be repeated: no guess at seeds finds what it decides, as for a fresh one. */
export function secretOfSeed(seed: number): string {
  return createHash('sha256').update(`weightlock secret ${seed}`).digest('hex').slice(0, 32);
}

/**
 * Reads a secret.
 *
 * @param source - Where it lies, for the message, which does not repeat it.
 * @throws InputError where it is none.
 */
export function readSecret(text: string, source: string): string {
  const secret = text.trim().toLowerCase();
  if (/^[0-9a-f]{32}$/.test(secret)) return secret;
  throw new InputError(`${source}: expected a secret of 32 hexadecimal digits, found something else`);
}

/** The numbers that a secret decides. */
export function drawsOf(secret: LockSecret): Draws {
  return (purpose) => new RandomStream(secret, purpose);
}
