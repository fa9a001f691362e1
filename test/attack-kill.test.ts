import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { initializeModel, saveModel } from '../src/models/index.js';

const main = resolve('dist/cli/main.js');
const args = [
  ...['attack', 'locked', '--data.classes', '3,4', '--data.test-limit', '60', '--optimizers', 'adamw', '--no-adaptive'],
  ...[
    '--cost-steps',
    '0',
    '--score-steps',
    '20',
    '--per-class',
    '5',
    '--seeds',
    '1,2',
    '--search-seeds',
    '9',
    '--quiet',
  ],
  ...['--workers', '1', '--threads', '1'],
];

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-attack-kill-'));
  await saveModel(join(root, 'locked'), initializeModel('mlp', { num_labels: 2, hidden_sizes: [8, 6] }, 1));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

function attack(runs: string): ChildProcess {
  return spawn(process.execPath, [main, ...args, '--runs', runs], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Files of the run's checkpoints that end so. */
function checkpoints(runs: string, end: string): string[] {
  if (!existsSync(join(root, runs))) return [];
  const files = readdirSync(join(root, runs), { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => file.includes('checkpoints') && file.endsWith(end))
    .map((file) => join(root, runs, file));
}

function result(runs: string) {
  const [run] = readdirSync(join(root, runs));
  return JSON.parse(readFileSync(join(root, runs, run, 'result.json'), 'utf8'));
}

it('an attack that is killed between trials goes on at the trial, and ends with the same bits', async () => {
  expect(await once(attack('whole'), 'exit')).toEqual([0, null]);

  const killed = attack('killed');
  const ended = once(killed, 'exit');
  // The file is replaced at every trial: at its first sight the search is under way.
  while (checkpoints('killed', '.trials.json').length === 0 && killed.exitCode === null) await setTimeout(5);
  killed.kill('SIGKILL');
  expect(await ended).toEqual([null, 'SIGKILL']);
  const [file] = checkpoints('killed', '.trials.json');
  const done = JSON.parse(readFileSync(file, 'utf8'));
  expect(done.length).toBeGreaterThan(0);

  expect(await once(attack('killed'), 'exit')).toEqual([0, null]);
  // But how long it took.
  const { seconds, ...found } = result('killed');
  const { seconds: others, ...whole } = result('whole');
  expect(JSON.stringify(found)).toBe(JSON.stringify(whole));
  const counts = (of: Record<string, unknown[]>) => Object.entries(of).map(([id, { length }]) => [id, length]);
  expect(counts(seconds)).toEqual(counts(others));
  expect(checkpoints('killed', '.trials.json')).toEqual([]);
  // What was done before the kill stands in the result as it was written, its time too.
  const { rows } = found as { rows: { search: string; result: { search: unknown[]; trials: unknown[] } }[] };
  const all = rows.flatMap(({ result: { search, trials } }) => [...search, ...trials]);
  const { seconds: first, ...trial } = done[0];
  expect(all).toContainEqual(trial);
  expect(Object.values(seconds as Record<string, number[]>).flat()).toContain(first);
});
