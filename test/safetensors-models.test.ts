import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { encodeSafetensors, readTensorFiles, toFloat32 } from '../src/formats/index.js';

const folder = join(process.env.WEIGHTLOCK_DATA ?? '../shared/data', 'models', 'all-minilm-l6-v2');
const present = existsSync(join(folder, 'model.safetensors'));
if (!present) console.log(`skipped: no model in ${folder} (set WEIGHTLOCK_DATA)`);

it.skipIf(!present)('a published model reads in full and comes out byte for byte', async () => {
  const { shards, tensors } = await readTensorFiles(folder);
  const original = await readFile(join(folder, 'model.safetensors'));
  // Buffer.compare: vitest's own comparison of 90 MB takes minutes.
  expect(Buffer.compare(encodeSafetensors(shards[0].file), original)).toBe(0);
  // 22.7 million weights, as published, and 512 position ids.
  expect(tensors.reduce((sum, tensor) => sum + toFloat32(tensor).length, 0)).toBe(22_713_728);
});
