import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openTensors } from '../formats/index.js';
import { digestOfWeights, tensorDigest } from './index.js';

const fixtures = new URL('../../test/fixtures/', import.meta.url);
const { files }: { files: Record<string, { tensors: [name: string, sha256: string][]; weights: string }> } = JSON.parse(
  readFileSync(new URL('digests.json', fixtures), 'utf8'),
);

describe('digests of tensors', () => {
  it.each(Object.keys(files))('%s: as hashlib gives them', async (file) => {
    const tensors = await openTensors(fileURLToPath(new URL(`safetensors/${file}.safetensors`, fixtures)));
    const found = new Map<string, string>();
    for (const header of tensors.headers) {
      const digest = tensorDigest(header);
      await tensors.pieces(header.name, (piece) => digest.update(piece));
      found.set(header.name, digest.digest('hex'));
    }
    expect(found).toEqual(new Map(files[file].tensors));
    expect(digestOfWeights([...found.values()])).toBe(files[file].weights);
    expect(digestOfWeights([...found.values()].reverse())).toBe(files[file].weights);
  });

  it('differ by name, type and shape, however these run into one another', () => {
    const digests = [
      { name: 'a', dtype: 'F32' as const, shape: [1, 2] },
      { name: 'a', dtype: 'F32' as const, shape: [2, 1] },
      { name: 'a', dtype: 'I32' as const, shape: [1, 2] },
      { name: 'aF32', dtype: 'F32' as const, shape: [1, 2] },
      { name: 'b', dtype: 'F32' as const, shape: [1, 2] },
    ].map((header) => tensorDigest(header).digest('hex'));
    expect(new Set(digests).size).toBe(digests.length);
  });
});
