import { z } from 'zod';
import type { ModelSpec, StateDict } from '../models/index.js';
import { InputError, inWords } from '../registry/index.js';
import { lengthsOfUnit, unitsOf } from '../symmetries/index.js';
import { drawsOf, type LockSecret } from './secret.js';
import { applyFactors, factorsOf, rebalanced, rebalanceOptions } from './symmetry/rebalance.js';

/** What an owner keeps of a keyed lock: with it the lock comes off for training, and goes on again. */
const keySchema = z.strictObject({
  format: z.literal('weightlock/key/1'),
  method: z.literal('rebalance'),
  secret: z.string().regex(/^[0-9a-f]{32}$/, 'expected 32 hexadecimal digits'),
  options: rebalanceOptions,
});

/** A key: what decided the factors of a lock, and its options. */
export interface LockKey extends Omit<z.output<typeof keySchema>, 'secret'> {
  /** A seed where a lock is to be repeated from what is published of it: no file has one. */
  readonly secret: LockSecret;
}

/** The key of a lock. */
export function lockKey(options: unknown, secret: LockSecret): LockKey {
  return { format: 'weightlock/key/1', method: 'rebalance', secret, options: rebalanceOptions.parse(options) };
}

/**
 * Reads a key.
 *
 * @param source - Where it lies, for the message.
 * @throws InputError where it is none.
 */
export function readLockKey(found: unknown, source: string): LockKey {
  const parsed = keySchema.safeParse(found, { error: inWords });
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  throw new InputError(`${source}: expected the key of a lock: ${path.join('.') || 'the file'}: ${message}`);
}

/** Standard errors from 0 on which a slope is no chance: one wrong key of a thousand has more. */
const certain = 3;

/**
 * Whether a key's factors are in some weights: with x the logarithm of a unit's factor and y that of what it multiplies, or of the root
 * of its ratio to what it divides, both less their mean over a joint, the least-squares slope of y by x is 1 for a model that the
 * key locks, also after some training, and 0 but for chance for any other.
 */
function hasFactors(model: ModelSpec, weights: StateDict, { secret, options }: LockKey): boolean {
  const draws = drawsOf(secret);
  let [xx, xy, yy, degrees] = [0, 0, 0, -1];
  for (const joint of rebalanced(model, weights, options)) {
    const factors = factorsOf(joint, { ...options, draws });
    const points = unitsOf(joint).flatMap((unit, at) => {
      const { times, over } = lengthsOfUnit(weights, unit);
      if (times === 0) return [];
      const y = over === 0 ? Math.log2(times) : (Math.log2(times) - Math.log2(over)) / 2;
      return [{ x: Math.log2(factors[at]), y }];
    });
    if (points.length < 2) continue;
    const mean = (of: (point: { x: number; y: number }) => number) =>
      points.reduce((sum, point) => sum + of(point), 0) / points.length;
    const [x0, y0] = [mean(({ x }) => x), mean(({ y }) => y)];
    for (const { x, y } of points) {
      xx += (x - x0) ** 2;
      xy += (x - x0) * (y - y0);
      yy += (y - y0) ** 2;
    }
    degrees += points.length - 1;
  }
  // Nothing to take off, or nothing to tell it by.
  if (xx === 0 || degrees < 1) return true;
  const slope = xy / xx;
  const error = Math.sqrt(Math.max(yy - slope * xy, 0) / degrees / xx);
  return slope > 0.5 && slope > certain * error;
}

/**
 * Refuses to take a lock off that is not on: another model, or one whose lock went back to the original, would be skewed by it.
 *
 * @param source - Where the key lies, for the message.
 * @throws InputError where the weights do not have the key's factors, or are of a network that can have none.
 */
export function requireLockedBy(model: ModelSpec, weights: StateDict, key: LockKey, source: string): void {
  if (hasFactors(model, weights, key)) return;
  throw new InputError(
    `${source}: expected the key of this model's lock, found one whose factors its weights do not have`,
  );
}

/**
 * Takes a keyed lock off, in place: the weights are what they were before it, to the bit (running variances and gains that are stored
 * one off to rounding).
 *
 * @throws InputError where nothing of the model can have been locked by it.
 */
export function unlock(model: ModelSpec, weights: StateDict, { secret, options }: LockKey): void {
  const draws = drawsOf(secret);
  applyFactors(weights, rebalanced(model, weights, options), { ...options, draws, isInverse: true });
}

/** Puts it on again, in place. */
export function relock(model: ModelSpec, weights: StateDict, { secret, options }: LockKey): void {
  applyFactors(weights, rebalanced(model, weights, options), { ...options, draws: drawsOf(secret) });
}
