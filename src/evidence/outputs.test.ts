import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { encodeSafetensors, readSafetensors } from '../formats/index.js';
import { initializeModel, saveModel } from '../models/index.js';
import { digestOf } from './digest.js';
import { findLost, modelState, noteModel, saveOutput } from './outputs.js';
import { RunFolder } from './run-folder.js';

let root: string;
let run: RunFolder;
let output: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-outputs-'));
  output = join(root, 'model');
  run = await RunFolder.open({ root: join(root, 'runs'), command: 'train', config: {} });
});
afterEach(async () => {
  await run.close();
  await rm(root, { recursive: true });
});

const small = (seed: number) => initializeModel('mlp', { input_shape: [4], hidden_sizes: [3], num_labels: 2 }, seed);

/** A run that wrote a model, a page and a result. */
async function finish(): Promise<void> {
  await saveOutput(run.path, output, small(1));
  await mkdir(run.file('unlocked'));
  await writeFile(run.file('unlocked/config.json'), '{}');
  await writeFile(run.file('report.html'), '<p>');
  await run.writeResult({ accuracy: 1 });
  await run.done();
}

it('a finished run knows what it wrote, and what of it is gone or another’s', async () => {
  await finish();
  expect(await modelState(run.path, output)).toBe('whole');
  expect(await findLost(run.path)).toEqual({ gone: [], changed: [] });
  await appendFile(run.file('report.html'), ' ');
  await rm(run.file('unlocked'), { recursive: true });
  await rm(join(output, 'config.json'));
  expect(await findLost(run.path)).toEqual({
    gone: [join(run.path, 'unlocked/config.json')],
    changed: [join(run.path, 'report.html'), output],
  });
  await rm(output, { recursive: true });
  expect(await modelState(run.path, output)).toBe('gone');
  await saveModel(output, small(2));
  expect(await modelState(run.path, output)).toBe('changed');
  await saveModel(output, small(1), { force: true });
  expect(await modelState(run.path, output)).toBe('whole');
});

it('a file that no loader reads does not make a model another one', async () => {
  await finish();
  await writeFile(join(output, 'README.md'), '# My model');
  await mkdir(join(output, '.git'));
  expect(await modelState(run.path, output)).toBe('whole');
  await writeFile(join(output, 'tokenizer.json'), '{}');
  expect(await modelState(run.path, output)).toBe('changed');
});

it('a run overwrites what it had begun to write, and nothing else', async () => {
  await saveModel(output, small(2));
  const before = await readFile(join(output, 'model.safetensors'));
  await expect(saveOutput(run.path, output, small(1))).rejects.toThrow('it holds a model already');
  // Refused, it has begun nothing: the next attempt is refused as well.
  await expect(saveOutput(run.path, output, small(1))).rejects.toThrow('it holds a model already');
  expect(await readFile(join(output, 'model.safetensors'))).toEqual(before);
  await noteModel(run.path, output, null);
  await saveOutput(run.path, output, small(1));
  expect(await modelState(run.path, output)).toBe('whole');
  // Killed between this and its end, it writes the same once more; what another put there since then stays.
  await saveOutput(run.path, output, small(1));
  await saveModel(output, small(3), { force: true });
  await expect(saveOutput(run.path, output, small(1))).rejects.toThrow('it holds a model already');
  await saveOutput(run.path, output, small(1), { force: true });
});

it('a finished run that is opened again is resumable until it is done again', async () => {
  await finish();
  await run.reopen();
  expect(run.isDone).toBe(false);
  expect((await RunFolder.locate({ root: join(root, 'runs'), command: 'train', config: {} })).state).toBe('resumable');
  await expect(RunFolder.open({ root: join(root, 'runs'), command: 'train', config: {} })).rejects.toThrow('in use');
  await run.writeResult({ accuracy: 1 });
  await run.done();
  expect(await findLost(run.path)).toEqual({ gone: [], changed: [] });
});

it('the digest of a model counts all that a run reads of it, and nothing more', async () => {
  await saveModel(output, small(1));
  const { tensors, metadata } = await readSafetensors(join(output, 'model.safetensors'));
  await rm(join(output, 'model.safetensors'));
  await mkdir(join(output, 'deep'));
  const shard = (first: number) => {
    tensors[0].bytes[0] = first;
    return writeFile(join(output, 'deep', 'one.safetensors'), encodeSafetensors({ tensors, metadata }));
  };
  await shard(1);
  const map = Object.fromEntries(tensors.map(({ name }) => [name, 'deep/one.safetensors']));
  const index = join(output, 'model.safetensors.index.json');
  await writeFile(index, JSON.stringify({ weight_map: map }));
  const first = await digestOf(output);
  for (const name of ['README.md', 'pytorch_model.bin', 'deep/notes.md']) {
    await writeFile(join(output, name), 'x');
    expect(await digestOf(output), name).toBe(first);
  }
  const digests = new Set([first]);
  await shard(2);
  digests.add(await digestOf(output));
  await writeFile(index, JSON.stringify({ metadata: {}, weight_map: map }));
  digests.add(await digestOf(output));
  await writeFile(join(output, 'tokenizer.json'), '{}');
  digests.add(await digestOf(output));
  await appendFile(join(output, 'config.json'), ' ');
  digests.add(await digestOf(output));
  expect(digests.size).toBe(5);
});
