import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { initializeModel, saveModel } from '../src/models/index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-sweep-kill-'));
  await saveModel(join(root, 'locked'), initializeModel('mlp', { num_labels: 2, hidden_sizes: [8, 6] }, 1));
  const options = 'attacks: fine-tune, optimizers: sgd, costSteps: 0, scoreSteps: 20, perClass: 5, searchSeeds: 9';
  const data = 'data: { classes: [3, 4], testLimit: 60 }';
  writeFileSync(
    join(root, 'plan.yaml'),
    `models: [{ name: mlp, released: locked }]\nattacks: [{ name: few, ${data}, ${options} }]\n`,
  );
});
afterAll(() => rm(root, { recursive: true, force: true }));

const sweep = (runs: string): ChildProcess =>
  spawn(
    process.execPath,
    [resolve('dist/cli/main.js'), 'sweep', 'plan.yaml', '--runs', runs, '--threads', '1', '--workers', '1', '--quiet'],
    {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
const trials = (runs: string) => {
  const folder = join(root, runs, 'artifacts', 'trials');
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /^[^.]+\/\d+\.json$/.test(name));
};
const found = (runs: string) => {
  const [run] = readdirSync(join(root, runs)).filter((name) => name.startsWith('sweep-'));
  const result = JSON.parse(readFileSync(join(root, runs, run, 'result.json'), 'utf8'));
  for (const cell of result.cells) delete cell.attacked.seconds;
  return JSON.stringify(result);
};

it('a sweep that is interrupted, and then killed, goes on at the trial and finds the same', async () => {
  expect(await once(sweep('whole'), 'exit')).toEqual([0, null]);
  for (const [signal, end] of [
    ['SIGINT', [130, null]],
    ['SIGKILL', [null, 'SIGKILL']],
  ] as const) {
    const before = trials('stopped').length;
    const child = sweep('stopped');
    while (trials('stopped').length < before + 3 && child.exitCode === null) await wait(5);
    child.kill(signal);
    expect(await once(child, 'exit')).toEqual(end);
  }
  const done = trials('stopped');
  const written = done.map((name) => readFileSync(join(root, 'stopped', 'artifacts', 'trials', name), 'utf8'));
  expect(done.length).toBeLessThan(trials('whole').length);
  expect(await once(sweep('stopped'), 'exit')).toEqual([0, null]);
  expect(found('stopped')).toBe(found('whole'));
  expect(trials('stopped').sort()).toEqual(trials('whole').sort());
  // What was done before is as it was written, its time too: nothing was done twice.
  expect(done.map((name) => readFileSync(join(root, 'stopped', 'artifacts', 'trials', name), 'utf8'))).toEqual(written);
});
