import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../registry/index.js';
import { openTensors } from './index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-foreign-'));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

const text = (start: string) => new TextEncoder().encode(start);
const bytes = (start: string) => Buffer.from(`${start}${'\0'.repeat(16)}`, 'latin1');

describe('what is no safetensors file', () => {
  it.each<[string, Uint8Array, string]>([
    ['empty.safetensors', text(''), 'an empty file; it was perhaps not written or copied to its end'],
    [
      'README.md',
      text(`# A model\n${'\tand text'.repeat(99)}`),
      'a text file; give the model directory or its model.safeten',
    ],
    ['config.json', text('{"architecture": "cnn"}'), 'a text file'],
    ['cut', text(`${'x'.repeat(511)}é`), 'a text file'],
    ['short.txt', text('hi'), 'a text file'],
    ['old.pt', bytes('\x80\x02\x8a\nl\xfc\x9cF\xf9'), 'a Python pickle; save the model as safetensors'],
    ['model.h5', bytes('\x89HDF\r\n\x1a\n'), 'an HDF5 file (Keras); save'],
    [
      'pointer',
      text('version https://git-lfs.github.com/spec/v1\noid'),
      'a pointer of Git LFS in place of the file; fetch',
    ],
  ])('%s', async (name, content, expected) => {
    const path = join(root, name);
    await writeFile(path, content);
    const reading = openTensors(path);
    await expect(reading).rejects.toThrow(`${path}: expected a safetensors file, found ${expected}`);
    await expect(reading).rejects.toThrow(InputError);
  });

  it('is judged by the header where nothing is known of it', async () => {
    const path = join(root, 'unknown');
    await writeFile(path, new Uint8Array(40).fill(255));
    await expect(openTensors(path)).rejects.toThrow(
      'expected a header of at most 100000000 bytes, found a header length of 18446744073709551615',
    );
  });

  it.each([
    ['GGUF\x03', 'a GGUF file (llama.cpp); give it under a name that ends in .gguf'],
    [
      'PK\x03\x04\0\0\b\b',
      'a zip archive (PyTorch .bin or .pt, or NumPy .npz); if torch.save wrote it, give it under the',
    ],
  ])('is named where model.safetensors is of another format: %j', async (start, expected) => {
    const folder = await mkdtemp(join(root, 'named-'));
    const path = join(folder, 'model.safetensors');
    await writeFile(path, bytes(start));
    await expect(openTensors(folder)).rejects.toThrow(`${path}: expected a safetensors file, found ${expected}`);
  });

  it('in a folder, is named', async () => {
    const folder = await mkdtemp(join(root, 'other-'));
    for (const name of ['a.onnx', 'b.h5', 'c.msgpack', 'd.ckpt']) await writeFile(join(folder, name), '');
    await expect(openTensors(folder)).rejects.toThrow(
      'expected model.safetensors or model.safetensors.index.json in this folder, found "a.onnx", "b.h5", "c.msgpack" and 1 more; save the model as safetensors in its own framework',
    );
  });

  it('and of several files of which each could be the model, one must be named', async () => {
    const folder = await mkdtemp(join(root, 'several-'));
    for (const name of ['b.gguf', 'a.gguf']) await writeFile(join(folder, name), '');
    await expect(openTensors(folder)).rejects.toThrow(
      `${folder}: expected one file of weights, found "a.gguf", "b.gguf"; give the path of the one that is meant`,
    );
  });
});
