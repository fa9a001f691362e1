import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RandomStream } from '../src/linalg/index.js';
import { textReader, writeSmallTexts } from './support/small-texts.js';

/** Moments of a kill, for each command. */
const manyMoments = 20;
const main = resolve('dist/cli/main.js');
const digits = ['--data.classes', '0,1,2,3,4', '--quiet', '--threads', '2'];

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-kill-'));
  expect((await run(root, ['train', 'model', '--steps', '300', ...digits])).end).toBe(0);
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

/** Runs weightlock in a folder, kills it after a while, and says how it ended and how long it took. */
async function run(folder: string, args: readonly string[], killAfterMs?: number) {
  const started = performance.now();
  const child = spawn(process.execPath, [main, ...args], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  const [code, signal] = await once(child, 'exit');
  clearTimeout(timer);
  return { end: (signal ?? code) as number | string, ms: performance.now() - started };
}

/** Everything a run leaves that must not depend on how often it was killed. */
async function results(folder: string, model: string): Promise<Record<string, string>> {
  const [name] = await readdir(join(folder, 'runs'));
  const files = [
    join(model, 'model.safetensors'),
    join(model, 'config.json'),
    ...['metrics.jsonl', 'result.json', 'config.yaml'].map((file) => join('runs', name, file)),
  ];
  const contents = await Promise.all(
    // When a metric was measured depends on it.
    files.map(async (file) => (await readFile(join(folder, file), 'latin1')).replace(/,"time":"[^"]*"/g, '')),
  );
  return Object.fromEntries(files.map((file, index) => [file, contents[index]]));
}

async function expectSurvivesKills(
  name: string,
  args: readonly string[],
  model: string,
  moments = manyMoments,
): Promise<void> {
  const whole = await mkdtemp(join(root, `${name}-whole-`));
  const { end, ms } = await run(whole, args);
  expect(end).toBe(0);
  const expected = await results(whole, model);
  const stream = new RandomStream(7, `kill ${name}`);
  let killed = 0;
  let took = ms;
  // On a busy machine a run may be done before its kill; it is drawn again, from what this one took.
  for (let tries = 0; killed < moments; tries++) {
    expect(tries, 'runs tried').toBeLessThan(5 * moments);
    const folder = await mkdtemp(join(root, `${name}-`));
    const delay = stream.uniform() * took;
    const first = await run(folder, args, delay);
    if (first.end === 'SIGKILL') killed++;
    else took = first.ms;
    expect((await run(folder, args)).end, `after a kill at ${delay.toFixed(0)} of ${took.toFixed(0)} ms`).toBe(0);
    const found = await results(folder, model);
    for (const [file, content] of Object.entries(expected)) {
      expect(found[file] === content, `${file} after a kill at ${delay.toFixed(0)} of ${took.toFixed(0)} ms`).toBe(
        true,
      );
    }
    await rm(folder, { recursive: true });
  }
}

const proxies = ['--proxies', 'digits:5+6+7+8+9'];
/** Steps of a stage, and a budget that lets it take them. */
const free = (stage: string, steps: number) =>
  [`steps ${steps}`, 'max-kl null', 'max-drop 0.05'].flatMap((option) => `--${stage}.${option}`.split(' '));
const immunize = ['--immunize.term-clip-norm', '1', '--immunize.learning-rate', '1e-3'];

describe('a run that was killed with SIGKILL and run again ends with the same bits', () => {
  it('train', async () => {
    await expectSurvivesKills(
      'train',
      ['train', 'model', '--steps', '500', '--evaluate-every', '50', ...digits],
      'model',
    );
  });

  it('lock', async () => {
    const options = [...free('specdef', 550), '--specdef.lead.share', '0.45'];
    const args = ['lock', join(root, 'model'), 'locked', ...options, ...digits];
    await expectSurvivesKills('lock', args, 'locked');
  });

  it.each([
    // Both erase or mix first, and what healed of that must not be done twice.
    ['redistil', free('redistil', 400)],
    ['erase', free('erase', 400)],
    ['specdef-moved', free('specdef-moved', 200)],
    ['trap', [...free('trap', 100), ...proxies]],
    ['repnoise', [...free('repnoise', 200), ...proxies]],
    ['immunize', [...free('immunize', 200), ...immunize, ...proxies]],
    ['tar', [...free('tar', 30), '--tar.attacks.steps', '8', ...proxies]],
    ['rebalance', []],
    ['spectral-closed', []],
    ['rebalance,specdef', free('specdef', 200)],
    ['erase,redistil', ['--erase.steps', '150', '--redistil.steps', '150', '--erase.max-kl', 'null']],
  ])('lock --method %s', async (method, options) => {
    const args = [
      'lock',
      join(root, 'model'),
      'locked',
      '--method',
      method,
      ...options,
      ...(await sameDraws(method)),
      ...digits,
    ];
    await expectSurvivesKills(method, args, 'locked', 5);
  });

  it('lock --method dlr', async () => {
    await writeSmallTexts(root);
    const texts = ['--data.path', join(root, 'own.jsonl'), '--data.tokenizer', textReader, '--quiet', '--threads', '2'];
    const made = ['--architecture', 'bert', '--model-config', 'config.json', '--steps', '120'];
    expect((await run(root, ['train', 'encoder', ...made, ...texts])).end).toBe(0);
    const options = [...free('dlr', 300), '--dlr.depth', '3', '--dlr.evaluate-every', '50'];
    const args = ['lock', join(root, 'encoder'), 'locked', '--method', 'dlr', ...options, ...texts];
    await expectSurvivesKills('dlr', args, 'locked', 5);
  });

  it('train --key', async () => {
    const key = ['--method', 'rebalance', '--key', 'key.json', '--quiet'];
    expect((await run(root, ['lock', 'model', 'keyed', ...key])).end).toBe(0);
    const from = ['--from', join(root, 'keyed'), '--key', join(root, 'key.json')];
    const args = ['train', 'model', ...from, '--steps', '200', '--evaluate-every', '50', ...digits];
    await expectSurvivesKills('train-key', args, 'model', 5);
  });
});

/** Methods that draw numbers into the weights, by a secret. */
const drawing = ['redistil', 'erase', 'rebalance'];

/** Options with which a lock that draws something has the same draws in each run folder, where it is another secret otherwise. */
async function sameDraws(methods: string): Promise<readonly string[]> {
  const draws = methods.split(',').some((name) => drawing.includes(name));
  if (!draws) return [];
  const secret = join(root, 'secret');
  await writeFile(secret, '00112233445566778899aabbccddeeff\n');
  return ['--secret', secret];
}
