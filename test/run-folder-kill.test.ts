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

/** 60 steps of a stand-in for training, with a checkpoint every 7; the state is a sum, so a lost step shows. */
const work = `
const [root, evidence, formats] = process.argv.slice(1);
const { RunFolder } = await import(evidence);
const { readJsonFile, writeFileAtomic } = await import(formats);
const run = await RunFolder.open({ root, command: 'sum', config: { steps: 60 } });
if (run.isDone) process.exit(7);
const state = (await run.checkpoints()).includes('state.json')
  ? await readJsonFile(run.checkpointPath('state.json')) : { step: 0, sum: 0 };
await run.truncateMetrics(state.step > 0 ? state.step : -1);
while (state.step < 60) {
  state.step++;
  state.sum += 1 / state.step;
  run.appendMetric({ step: state.step, sum: state.sum });
  if (state.step % 7 === 0) {
    run.flushMetrics();
    await writeFileAtomic(run.checkpointPath('state.json'), JSON.stringify(state));
  }
  await new Promise((resolve) => setTimeout(resolve, 2));
}
await run.writeResult({ sum: state.sum });
await run.done();
`;

/** Starts the work, kills it after a while, and says how it ended. */
async function start(folder: string, killAfterMs?: number): Promise<number | string> {
  const modules = ['evidence', 'formats'].map((name) => pathToFileURL(resolve(`dist/${name}/index.js`)).href);
  const child = spawn(process.execPath, ['--input-type=module', '-e', work, folder, ...modules], { stdio: 'inherit' });
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  const [code, signal] = await once(child, 'exit');
  clearTimeout(timer);
  return signal ?? code;
}

it('a run killed again and again ends with the same bytes as one left alone', async () => {
  expect(await start(join(root, 'whole'))).toBe(0);
  const ends: (number | string)[] = [];
  // Growing delays: the first kills hit the start of the process, later ones the middle of the work.
  // 7: the one before was killed after it had written DONE.
  for (let delay = 60; ends.at(-1) !== 0 && ends.at(-1) !== 7 && delay < 5000; delay += 35)
    ends.push(await start(join(root, 'killed'), delay));
  expect([0, 7]).toContain(ends.at(-1));
  expect(ends.filter((end) => end === 'SIGKILL').length).toBe(ends.length - 1);
  const [name] = await readdir(join(root, 'whole'));
  for (const file of ['metrics.jsonl', 'result.json', 'config.yaml', 'checkpoints/state.json']) {
    const [whole, killed] = await Promise.all(['whole', 'killed'].map((one) => readFile(join(root, one, name, file))));
    expect(killed.equals(whole), file).toBe(true);
  }
  // A process killed between DONE and its end leaves its lock, which says nothing any more.
  const excused = ends.at(-1) === 7 ? 'lock' : undefined;
  const files = async (one: string) =>
    (await readdir(join(root, one, name), { recursive: true })).filter((file) => file !== excused).sort();
  expect(await files('killed')).toEqual(await files('whole'));
  expect(await start(join(root, 'killed'))).toBe(7);
});
