import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkHealth, checkNode } from './health.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weightlock-health-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const statusOf = async (name: string, options: { runs?: string; data?: string }) =>
  (await checkHealth(options)).find((check) => check.name === name)?.status;

describe('checkNode', () => {
  it.each([
    ['18.20.4', 'failed'],
    ['20.18.9', 'failed'],
    ['20.19.0', 'ok'],
    ['21.0.0', 'ok'],
    ['24.1.0', 'ok'],
  ])('%s: %s', (version, status) => {
    expect(checkNode(version).status).toBe(status);
  });
});

describe('checkHealth', () => {
  it('loads ONNX Runtime', async () => {
    expect(await statusOf('ONNX Runtime', { runs: folder })).toBe('ok');
  });

  it('probes the runs folder and leaves nothing behind', async () => {
    expect(await statusOf('runs folder', { runs: join(folder, 'a', 'b') })).toBe('ok');
    expect(await readdir(folder)).toEqual([]);
    await writeFile(join(folder, 'file'), '');
    expect(await statusOf('runs folder', { runs: join(folder, 'file') })).toBe('failed');
  });

  it('asks for data only when the user names a folder', async () => {
    expect(await statusOf('data folder', { runs: folder })).toBe('note');
    expect(await statusOf('data folder', { runs: folder, data: folder })).toBe('ok');
    expect(await statusOf('data folder', { runs: folder, data: join(folder, 'none') })).toBe('failed');
  });
});
