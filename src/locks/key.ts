import { z } from 'zod';
import type { ModelSpec, StateDict } from '../models/index.js';
import { InputError } from '../registry/index.js';
import { applyFactors, rebalanced, rebalanceOptions } from './symmetry/rebalance.js';

/** What an owner keeps of a keyed lock: with it the lock comes off for training, and goes on again. */
const keySchema = z.strictObject({
  format: z.literal('weightlock/key/1'),
  method: z.literal('rebalance'),
  seed: z.int().min(0),
  options: rebalanceOptions,
});

/** Parsed key. */
export type LockKey = z.output<typeof keySchema>;

/** The key of a lock. */
export function lockKey(options: unknown, seed: number): LockKey {
  return keySchema.parse({ format: 'weightlock/key/1', method: 'rebalance', seed, options });
}

/**
 * Reads a key.
 *
 * @param source - Where it lies, for the message.
 * @throws InputError where it is none.
 */
export function readLockKey(found: unknown, source: string): LockKey {
  const parsed = keySchema.safeParse(found);
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  throw new InputError(`${source}: expected the key of a lock: ${path.join('.') || 'the file'}: ${message}`);
}

/**
 * Takes a keyed lock off, in place: the weights are what they were before it, to the bit (running variances and gains that are stored
 * one off to rounding).
 *
 * @throws InputError where nothing of the model can have been locked by it.
 */
export function unlock(model: ModelSpec, weights: StateDict, { seed, options }: LockKey): void {
  applyFactors(weights, rebalanced(model, weights, options), { ...options, seed, isInverse: true });
}

/** Puts it on again, in place. */
export function relock(model: ModelSpec, weights: StateDict, { seed, options }: LockKey): void {
  applyFactors(weights, rebalanced(model, weights, options), { ...options, seed });
}
