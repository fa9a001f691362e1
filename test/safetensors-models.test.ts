import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { openTensors, toFloat32, writeSafetensors } from '../src/formats/index.js';

const folder = join(process.env.WEIGHTLOCK_DATA ?? '../shared/data', 'models', 'all-minilm-l6-v2');
const present = existsSync(join(folder, 'model.safetensors'));
if (!present) console.log(`skipped: no model in ${folder} (set WEIGHTLOCK_DATA)`);

it.skipIf(!present)('a published model reads in full and comes out byte for byte', async () => {
  const tensors = await openTensors(folder);
  const [{ metadata, metadataKeys, tensors: headers }] = tensors.shards;
  const copies = headers.map((header) => ({ ...header, read: async () => (await tensors.tensor(header.name)).bytes }));
  const path = join(await mkdtemp(join(tmpdir(), 'weightlock-models-')), 'copy.safetensors');
  await writeSafetensors(path, { tensors: copies, metadata, metadataKeys });
  const [original, copy] = await Promise.all([join(folder, 'model.safetensors'), path].map((each) => readFile(each)));
  await rm(dirname(path), { recursive: true });
  // Buffer.compare: vitest's own comparison of 90 MB takes minutes.
  expect(Buffer.compare(copy, original)).toBe(0);
  // 22.7 million weights, as published, and 512 position ids.
  let count = 0;
  for await (const tensor of tensors) count += toFloat32(tensor).length;
  expect(count).toBe(22_713_728);
});
