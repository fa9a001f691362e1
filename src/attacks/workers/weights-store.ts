import { createHash } from 'node:crypto';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readSafetensors, type StoredTensor, toFloat32, writeSafetensors } from '../../formats/index.js';
import type { StateDict } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import type { PreparedWeights, Work } from '../trial/work.js';

/**
 * Weights that took training to make, on disk under the digest of what decides them: an attack that was interrupted, and other
 * processes of it, find them there.
 */
export class WeightsStore {
  /** @param folder - Made when it is first needed. */
  constructor(readonly folder: string) {}

  /**
   * The weights of a key, as they lie there, or made and stored.
   *
   * @param key - All that decides them: equal keys, equal weights.
   * @throws InputError where the file holds something else.
   */
  async once(key: string, make: () => Promise<PreparedWeights>): Promise<PreparedWeights> {
    const path = join(this.folder, `${createHash('sha256').update(key).digest('hex')}.safetensors`);
    const isThere = await stat(path).then(
      () => true,
      () => false,
    );
    if (isThere) return read(path);
    const made = await make();
    await mkdir(this.folder, { recursive: true });
    await writeSafetensors(path, { tensors: stored(made.weights), metadata: { work: JSON.stringify(made.work) } });
    return made;
  }
}

const amount = z.number().min(0);
const workForm = z.strictObject({
  ...{ steps: amount, evaluations: amount, tried: amount, tokens: amount.optional() },
  spent: z.strictObject({ steps: amount, samples: amount, flops: amount }),
  notes: z.array(z.string()).optional(),
});

function stored(weights: StateDict): StoredTensor[] {
  return Array.from(weights, ([name, { shape, data }]) => ({
    name,
    dtype: 'F32',
    shape: [...shape],
    bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }));
}

async function read(path: string): Promise<PreparedWeights> {
  const { tensors, metadata } = await readSafetensors(path);
  const weights = new Map(
    tensors.map((tensor) => [tensor.name, { shape: [...tensor.shape], data: toFloat32(tensor).slice() }]),
  );
  return { weights, work: workOf(metadata?.work, path) };
}

function workOf(text: string | undefined, path: string): Work {
  let found: unknown;
  try {
    found = JSON.parse(text ?? '');
  } catch {
    found = undefined;
  }
  const { success, data } = workForm.safeParse(found);
  if (success) return data;
  throw new InputError(
    `${path} work: expected steps, evaluations, tried and spent, found ${String(text).slice(0, 80)}`,
  );
}
