import { cpSync, readdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromFloat32, readSafetensors, type StoredTensor, toFloat32, writeSafetensors } from '../src/formats/index.js';
import { initializeModel, loadModel, saveModel } from '../src/models/index.js';
import { runCommand } from './support/run-command.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-broken-'));
  await saveModel(join(root, 'model'), initializeModel('mlp', { hidden_sizes: [6] }, 1));
  await saveModel(
    join(root, 'normed'),
    initializeModel('resnet18', { in_chans: 1, image_size: 28, num_classes: 10 }, 1),
  );
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

const weightlock = (...args: string[]) => runCommand(root, args);

/** The error of a command that must refuse its input, with or without --dry-run: exit code 2, one line, no run folder. */
async function refusal(...args: string[]): Promise<string> {
  const real = await weightlock(...args, '--quiet');
  const dry = await weightlock(...args, '--quiet', '--dry-run');
  expect([real.status, real.stdout, dry.status, dry.stdout]).toEqual([2, '', 2, '']);
  expect(real.stderr).toMatch(/^error: [^\n]+\n$/);
  expect(dry.stderr).toBe(real.stderr);
  expect(readdirSync(root)).not.toContain('runs');
  return real.stderr;
}

/** A copy of the model with one value changed. */
async function withValue(name: string, tensor: string, index: number, value: number): Promise<void> {
  const file = join(root, name, 'model.safetensors');
  cpSync(join(root, 'model'), join(root, name), { recursive: true });
  const { tensors, metadata } = await readSafetensors(file);
  const changed = tensors.map((stored): StoredTensor => {
    if (stored.name !== tensor) return stored;
    const values = toFloat32(stored);
    values[index] = value;
    return fromFloat32(values, stored);
  });
  await writeSafetensors(file, { tensors: changed, metadata });
}

describe('weights that are not finite', () => {
  beforeAll(async () => {
    await withValue('nan', 'fc2.weight', 15, Number.NaN);
    await withValue('infinite', 'fc1.bias', 2, Number.NEGATIVE_INFINITY);
  });

  it('are refused at load, by file, tensor and place', async () => {
    await expect(loadModel(join(root, 'nan'))).rejects.toThrow(
      `${join(root, 'nan', 'model.safetensors')}: tensor "fc2.weight": expected finite float32 values, found NaN at [2, 3], one such value`,
    );
    await expect(loadModel(join(root, 'infinite'))).rejects.toThrow(
      'tensor "fc1.bias": expected finite float32 values, found -Infinity at [2], one such value',
    );
  });

  it('end a command before any work', async () => {
    expect(await refusal('attack', 'model', '--unlocked', 'nan')).toContain(
      'nan/model.safetensors: tensor "fc2.weight"',
    );
  });

  it('inspect shows the other matrices and marks this one', async () => {
    const { status, stdout } = await weightlock('inspect', 'nan', '--quiet');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^fc1\.weight +6×784 +\d/m);
    expect(stdout).toMatch(/^fc2\.weight +10×6( +–){6}$/m);
    expect(stdout).toContain('fc2.weight is not finite: NaN at [2, 3], one such value.');
    expect((await weightlock('inspect', 'infinite', '--quiet')).stdout).toContain(
      'fc1.bias is not finite: -Infinity at [2], one such value.',
    );
  });
});

it('inspect says what a file without a matrix is', async () => {
  writeFileSync(join(root, 'README.md'), '# A model');
  expect(await refusal('inspect', 'README.md')).toBe(
    'error: README.md: expected a safetensors file, found a text file; give the model directory or its model.safetensors\n',
  );
});

it('a batch of one where batch norm has a single value a channel is refused before any work', async () => {
  const expected = 'layer4.0.bn1: batch norm cannot train on one value a channel';
  expect(await refusal('lock', 'normed', 'out', '--specdef.batch-size', '1')).toContain(expected);
  expect(await refusal('attack', 'normed', '--score-batch-size', '1')).toContain(expected);
});

it('a device that is not there is found before anything is read', async () => {
  const elsewhere = process.platform === 'darwin' ? 'dml' : 'coreml';
  expect(await refusal('evaluate', 'model', '--device', elsewhere)).toContain(
    `device ${elsewhere}: expected a device that opens on this machine`,
  );
});

it('a training that diverges says so, exits with 2, and leaves its folder to be looked at; a smaller rate is another run', async () => {
  const train = (...more: string[]) =>
    weightlock('train', 'trained', '--architecture', 'mlp', '--optimizer', 'sgd', '--steps', '30', '--quiet', ...more);
  const first = await train('--learning-rate', '1e12');
  expect([first.status, first.stdout]).toEqual([2, '']);
  expect(first.stderr).toMatch(
    /^error: diverged at step \d+ of 30: (the loss is|weights of fc\d\.\w+ are) (NaN|Infinity)[^\n]*, with learning rate \d+; try a smaller one\n$/,
  );
  expect(readdirSync(join(root, 'runs'))).toHaveLength(1);
  expect(readdirSync(root)).not.toContain('trained');
  expect((await train('--learning-rate', '1e12')).stderr).toBe(first.stderr);
  expect((await train('--learning-rate', '0.01')).status).toBe(0);
  expect(readdirSync(join(root, 'runs'))).toHaveLength(2);
});
