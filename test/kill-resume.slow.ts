import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RandomStream } from '../src/linalg/index.js';

/** Moments of a kill, for each command. */
const manyMoments = 20;
const main = resolve('dist/cli/main.js');
const digits = ['--data.classes', '0,1,2,3,4', '--quiet', '--threads', '2'];

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-kill-'));
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

describe('a run that was killed with SIGKILL and run again ends with the same bits', () => {
  it('train', async () => {
    await expectSurvivesKills(
      'train',
      ['train', 'model', '--steps', '500', '--evaluate-every', '50', ...digits],
      'model',
    );
  });

  it('lock', async () => {
    expect((await run(root, ['train', 'model', '--steps', '300', ...digits])).end).toBe(0);
    const args = [
      'lock',
      join(root, 'model'),
      'locked',
      '--specdef.lead.share',
      '0.45',
      '--specdef.steps',
      '550',
      '--specdef.max-kl',
      'null',
      '--specdef.max-drop',
      '0.05',
      ...digits,
    ];
    await expectSurvivesKills('lock', args, 'locked');
  });

  // Both erase or mix first, and what healed of that must not be done twice.
  it.each([
    ['redistil', '--redistil.steps', '400', '--redistil.max-kl', 'null', '--redistil.max-drop', '0.05'],
    ['erase', '--erase.steps', '400', '--erase.max-kl', 'null', '--erase.max-drop', '0.05'],
    [
      'specdef-moved',
      '--specdef-moved.steps',
      '200',
      '--specdef-moved.max-kl',
      'null',
      '--specdef-moved.max-drop',
      '0.05',
    ],
    [
      'trap',
      '--trap.steps',
      '100',
      '--trap.max-kl',
      'null',
      '--trap.max-drop',
      '0.05',
      '--proxies',
      'digits:5+6+7+8+9',
    ],
    [
      ...['repnoise', '--repnoise.steps', '200', '--repnoise.max-kl', 'null', '--repnoise.max-drop', '0.05'],
      ...['--proxies', 'digits:5+6+7+8+9'],
    ],
    [
      ...['immunize', '--immunize.steps', '200', '--immunize.max-kl', 'null', '--immunize.max-drop', '0.05'],
      ...['--immunize.term-clip-norm', '1', '--immunize.learning-rate', '1e-3', '--proxies', 'digits:5+6+7+8+9'],
    ],
    [
      ...['tar', '--tar.steps', '30', '--tar.attacks.steps', '8', '--tar.max-kl', 'null', '--tar.max-drop', '0.05'],
      ...['--proxies', 'digits:5+6+7+8+9'],
    ],
    ['rebalance,specdef', '--specdef.steps', '200', '--specdef.max-kl', 'null', '--specdef.max-drop', '0.05'],
    ['erase,redistil', '--erase.steps', '150', '--redistil.steps', '150', '--erase.max-kl', 'null'],
  ])('lock --method %s', async (method, ...options) => {
    const model = join(root, `model of ${method}`);
    expect((await run(root, ['train', model, '--steps', '300', ...digits])).end).toBe(0);
    // What is drawn into the weights is another secret in each run folder otherwise.
    const secret = join(root, 'secret');
    await writeFile(secret, '00112233445566778899aabbccddeeff\n');
    const draws = /redistil|erase|rebalance/.test(method) ? ['--secret', secret] : [];
    const args = ['lock', model, 'locked', '--method', method, ...options, ...draws, ...digits];
    await expectSurvivesKills(method, args, 'locked', 5);
  });
});
