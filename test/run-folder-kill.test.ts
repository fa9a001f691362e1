import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-kill-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

/**
 * 60 steps of a stand-in for training, with a checkpoint every 7; the state is a sum, so a lost step shows. It writes a
 * line when it begins and after each step, so that its end can be timed by what it has done.
 */
const work = `
const [root, evidence, formats] = process.argv.slice(1);
const { RunFolder } = await import(evidence);
const { readJsonFile, writeFileAtomic } = await import(formats);
const run = await RunFolder.open({ root, command: 'sum', config: { steps: 60 } });
if (run.isDone) process.exit(7);
const state = (await run.checkpoints()).includes('state.json')
  ? await readJsonFile(run.checkpointPath('state.json')) : { step: 0, sum: 0 };
console.log('begun');
await run.truncateMetrics(state.step > 0 ? state.step : -1);
while (state.step < 60) {
  state.step++;
  state.sum += 1 / state.step;
  run.appendMetric({ step: state.step, sum: state.sum });
  if (state.step % 7 === 0) {
    run.flushMetrics();
    await writeFileAtomic(run.checkpointPath('state.json'), JSON.stringify(state));
  }
  console.log(state.step);
  await new Promise((resolve) => setTimeout(resolve, 2));
}
await run.writeResult({ sum: state.sum });
await run.done();
`;

/** Starts the work, kills it after so many lines of its output, 0 at once, and says how it ended. */
async function start(folder: string, killAfterLines = Number.POSITIVE_INFINITY): Promise<number | string> {
  const modules = ['evidence', 'formats'].map((name) => pathToFileURL(resolve(`dist/${name}/index.js`)).href);
  const child = spawn(process.execPath, ['--input-type=module', '-e', work, folder, ...modules], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let lines = 0;
  if (killAfterLines === 0) child.kill('SIGKILL');
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    lines += text.split('\n').length - 1;
    if (lines >= killAfterLines) child.kill('SIGKILL');
  });
  const [code, signal] = await once(child, 'exit');
  return signal ?? code;
}

it('a run killed again and again ends with the same bytes as one left alone', async () => {
  expect(await start(join(root, 'whole'))).toBe(0);
  const ends: (number | string)[] = [];
  // The first kills hit the start of the process, later ones the work, before and after its checkpoints.
  for (const lines of [0, 1, 2, 8, 5, 11, 9, 16, 3, 23, 13, 25, 0, 30, 45]) {
    ends.push(await start(join(root, 'killed'), lines));
    if (ends.at(-1) !== 'SIGKILL') break;
  }
  // 7: the one before was killed after it had written DONE.
  if (ends.at(-1) === 'SIGKILL') ends.push(await start(join(root, 'killed')));
  expect([0, 7]).toContain(ends.at(-1));
  expect(ends.length).toBeGreaterThan(5);
  expect(ends.slice(0, -1).every((end) => end === 'SIGKILL')).toBe(true);
  const [name] = await readdir(join(root, 'whole'));
  for (const file of ['metrics.jsonl', 'result.json', 'config.yaml', 'checkpoints/state.json']) {
    const read = async (one: string) =>
      (await readFile(join(root, one, name, file), 'utf8')).replace(/,"time":"[^"]*"/g, '');
    expect(await read('killed'), file).toBe(await read('whole'));
  }
  // A process killed between DONE and its end leaves its lock, which says nothing any more.
  const excused = ends.at(-1) === 7 ? 'lock' : undefined;
  const files = async (one: string) =>
    (await readdir(join(root, one, name), { recursive: true })).filter((file) => file !== excused).sort();
  expect(await files('killed')).toEqual(await files('whole'));
  expect(await start(join(root, 'killed'))).toBe(7);
});
