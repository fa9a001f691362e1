import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { type PendingTensor, type StoredDType, writeSafetensors } from '../src/formats/index.js';

/** A tensor of pseudo-random values from -1 to 1, made when it is written. */
function tensor(name: string, dtype: StoredDType, shape: number[]): PendingTensor {
  const count = shape.reduce((a, b) => a * b, 1);
  return {
    name,
    dtype,
    shape,
    read: () => {
      let state = 12345;
      const next = () => {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        return state / 2 ** 31;
      };
      if (dtype === 'F32') return new Uint8Array(Float32Array.from({ length: count }, next).buffer);
      if (dtype === 'I64') return new Uint8Array(new BigInt64Array(count).buffer);
      // Sixteen bits: sign and mantissa vary, the exponent is that of numbers from 0.5 to 1.
      const base = dtype === 'BF16' ? 0x3f00 : 0x3800;
      const patterns = Uint16Array.from({ length: count }, () => base | (next() < 0 ? 0x8000 : 0) | (state & 0x7f));
      return new Uint8Array(patterns.buffer);
    },
  };
}

/** Bytes that `weightlock inspect` of a file of these tensors held at most. */
async function peak(root: string, tensors: PendingTensor[], ...options: string[]): Promise<number> {
  const path = join(root, 'model.safetensors');
  await writeSafetensors(path, { tensors, metadata: {} });
  const preload = fileURLToPath(new URL('support/print-peak-memory.mjs', import.meta.url));
  const args = ['--import', preload, resolve('dist/cli/main.js'), 'inspect', path, '--quiet', ...options];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: root });
  expect(status, stderr).toBe(0);
  return Number(stderr.trim().split('\n').at(-1));
}

it('inspect holds at most the largest tensor, as float32 values, and three Gram matrices beyond what a small file takes', async () => {
  const root = await mkdtemp(join(tmpdir(), 'weightlock-memory-'));
  const mebi = 2 ** 20;
  try {
    const base = await peak(root, [tensor('w', 'F32', [520, 560]), tensor('v', 'BF16', [64, 900])]);
    const many = [
      tensor('a', 'F32', [4096, 2048]),
      ...Array.from({ length: 12 }, (_, i) => tensor(`bias.${i}`, 'F32', [2 * mebi])),
      tensor('b', 'BF16', [2048, 4096]),
      tensor('long', 'F32', [mebi / 2, 16]),
      tensor('ids', 'I64', [4 * mebi]),
      tensor('wide', 'F16', [16, mebi / 2]),
      ...Array.from({ length: 20 }, (_, i) => tensor(`small.${i}`, 'F32', [128, 1024])),
    ];
    const largest = 32 * mebi;
    const gram = 8 * 2048 ** 2;
    // What is cast and copied at a time, and garbage of a small file.
    const pieces = 32 * mebi;
    for (const topK of ['4', '32']) {
      const beyond = (await peak(root, many, '--top-k', topK)) - base;
      console.log(`top-k ${topK}: ${Math.round(beyond / mebi)} MiB beyond ${Math.round(base / mebi)}`);
      // The values are there, so that much less would be a measurement of something else.
      expect(beyond).toBeGreaterThan(largest / 2);
      expect(beyond).toBeLessThan(largest + 3 * gram + pieces);
    }
  } finally {
    await rm(root, { recursive: true });
  }
});
