import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { RunFolder, readStatus } from './index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-status-'));
});
afterAll(() => rm(root, { recursive: true }));

const open = (seed: number) => RunFolder.open({ root, command: 'lock', config: { seed } });

it('a run can be watched from outside: its part, its steps, when, and how it ended', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-01-02T03:04:05Z') });
  try {
    const run = await open(1);
    const started = '2026-01-02T03:04:05.000Z';
    const begun = { version: 1, state: 'running', phase: null, step: 0, total: null, started, updated: started };
    expect(await readStatus(run.path)).toEqual(begun);
    run.reportStatus({ phase: 'train', step: 0, total: 100 });
    expect(await readStatus(run.path)).toMatchObject({ phase: 'train', step: 0, total: 100, updated: started });
    // Steps that follow at once are not worth a file each.
    run.reportStatus({ phase: 'train', step: 1, total: 100 });
    expect(await readStatus(run.path)).toMatchObject({ step: 0 });
    vi.setSystemTime(new Date('2026-01-02T03:04:06Z'));
    run.reportStatus({ phase: 'train', step: 40, total: 100 });
    expect(await readStatus(run.path)).toMatchObject({ step: 40, started, updated: '2026-01-02T03:04:06.000Z' });
    run.reportStatus({ phase: 'train', step: 41, total: 100 });
    await run.close();
    expect(await readStatus(run.path)).toMatchObject({ state: 'stopped', phase: 'train', step: 41 });
    vi.setSystemTime(new Date('2026-01-03T03:04:06Z'));
    const again = await open(1);
    expect(await readStatus(run.path)).toMatchObject({ state: 'running', started: '2026-01-03T03:04:06.000Z' });
    await again.writeResult({});
    await again.done();
    expect(await readStatus(run.path)).toMatchObject({ state: 'done' });
  } finally {
    vi.useRealTimers();
  }
});

it('is no part of what a run wrote: a changed status changes no digest', async () => {
  const run = await open(2);
  await run.writeResult({});
  await run.done();
  expect(JSON.parse(await readFile(join(run.path, 'outputs.json'), 'utf8')).files).not.toHaveProperty('status.json');
});

it('of another form is refused by the key that is wrong', async () => {
  const run = await open(3);
  await run.close();
  const status = JSON.parse(await readFile(join(run.path, 'status.json'), 'utf8'));
  await writeFile(join(run.path, 'status.json'), JSON.stringify({ ...status, state: 'asleep' }));
  await expect(readStatus(run.path)).rejects.toThrow(/status\.json: state: /);
});
