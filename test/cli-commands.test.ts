import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LockProposal } from '../src/cli/recommend-lock.js';
import type { Evaluation } from '../src/tasks/index.js';
import { runCommand } from './support/run-command.js';

const main = resolve('dist/cli/main.js');
const authorized = ['--data.classes', '0,1,2'];
const unauthorized = ['--data.classes', '3,4,5'];
const briefLock = [
  '--specdef.alpha',
  '0.1',
  '--specdef.retain.task',
  '1',
  '--specdef.lead.share',
  '0.25',
  '--specdef.steps',
  '80',
  '--specdef.max-drop',
  '0.05',
  '--specdef.max-kl',
  'null',
];
const brief = [
  ...['--cost-steps', '12', '--score-steps', '8', '--per-class', '3', '--seeds', '1,2', '--search-seeds', '9'],
  ...['--optimizers', 'adamw,sgd', '--adaptive-optimizers', '1', '--data.test-limit', '100'],
];

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-cli-'));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

function weightlock(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [main, ...args], { cwd: root, encoding: 'utf8' });
}

/** Runs a command that must succeed, and reads its JSON. */
function json(...args: string[]): Record<string, never> & { [key: string]: unknown } {
  const { status, stdout, stderr } = weightlock(...args, '--json');
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return JSON.parse(stdout);
}

/** The error of a command that must refuse its input: exit code 2 and one line. In this process: what starting one takes is not asked again. */
async function refusal(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await runCommand(root, [...args, '--quiet']);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^error: [^\n]+\n$/);
  return stderr;
}

describe('train, lock, evaluate, inspect, attack, report', () => {
  it('train writes a model directory; the same again is done, another seed is another run', () => {
    const found = json('train', 'model', ...authorized, '--steps', '120');
    expect(found).toMatchObject({ output: 'model', steps: 120 });
    expect((found.test as unknown as Evaluation).metrics.accuracy).toBeGreaterThan(0.9);
    expect(readdirSync(join(root, 'model')).sort()).toEqual([
      'README.md',
      'config.json',
      'model.safetensors',
      'preprocessor_config.json',
    ]);
    const before = statSync(join(root, 'model/model.safetensors')).mtimeMs;
    expect(weightlock('train', 'model', ...authorized, '--steps', '120').stderr).toContain('this run is done');
    expect(statSync(join(root, 'model/model.safetensors')).mtimeMs).toBe(before);
    expect(json('train', 'other', ...authorized, '--steps', '5', '--seed', '2').run).not.toBe(found.run);
  });

  it('train refuses to write over a model, before it works', async () => {
    expect(await refusal('train', 'model', ...authorized, '--steps', '7')).toContain(
      'it holds a model already (--force overwrites it)',
    );
    const { status, stdout, stderr } = weightlock('train', 'model', ...authorized, '--steps', '7', '--quiet');
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error: [^\n]+\n$/);
  });

  it('lock writes a locked copy and tells what it cost', () => {
    const found = json('lock', 'model', 'locked', ...authorized, ...briefLock);
    expect(found).toMatchObject({ output: 'locked', steps: 80 });
    const { spectra } = found as unknown as { spectra: { name: string; before: number[]; after: number[] }[] };
    expect(spectra).toHaveLength(6);
    for (const { name, before, after } of spectra) expect(after[0], name).toBeGreaterThan(before[0]);
    expect(readFileSync(join(root, 'locked/config.json'))).toEqual(readFileSync(join(root, 'model/config.json')));
  });

  it('lock --recommend writes nothing, and proposes what was measured to help, if anything', async () => {
    const before = readdirSync(root).concat(readdirSync(join(root, 'runs')));
    const found = json('lock', 'model', '--recommend', '--minutes', '60', ...authorized) as unknown as LockProposal;
    expect(readdirSync(root).concat(readdirSync(join(root, 'runs')))).toEqual(before);
    // The CNN is measured, whatever was found of it.
    expect(found).toMatchObject({ likest: 'small CNN', differs: [] });
    expect(found.candidates.length).toBeGreaterThan(3);
    for (const { seconds } of found.candidates) expect(seconds).toBeGreaterThanOrEqual(0);
    expect(found.sentences[0]).toContain(found.best ? `Proposed: ${found.best.point.method}` : 'No lock is proposed');
    expect(await refusal('lock', 'model', 'x', '--recommend', ...authorized)).toContain(
      'expected no directory to write',
    );
    for (const more of [
      ['--key', 'k'],
      ['--sham'],
      ['--method', 'erase'],
      ['--specdef.alpha', '0.5'],
      ['--proxies', 'digits'],
    ]) {
      const [option] = (more[0] ?? '').slice(2).split('.');
      expect(await refusal('lock', 'model', '--recommend', ...more, ...authorized)).toContain(
        `expected no option of a lock to make, got ${option}`,
      );
    }
    expect(await refusal('lock', 'model', ...authorized)).toContain(
      'output: expected a model directory to write, got none',
    );
    expect(await refusal('lock', 'model', 'x', '--minutes', '3', ...authorized)).toContain(
      'expected --recommend beside it',
    );
    expect(await refusal('lock', 'model', 'x', '--max-kl', '1', ...authorized)).toContain(
      'expected --recommend beside it',
    );
    expect(await refusal('lock', 'model', 'x', '--max-lost', '0.1', ...authorized)).toContain(
      '--max-lost: expected --recommend beside it',
    );
  });

  it('evaluate agrees with lock, and writes predictions line by line', () => {
    const found = json('evaluate', 'locked', ...authorized, '--predictions', 'predictions.jsonl');
    const lines = readFileSync(join(root, 'predictions.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toHaveLength(found.n as unknown as number);
    const right = lines.filter(({ label, logits }) => logits.indexOf(Math.max(...logits)) === label);
    expect(right.length / lines.length).toBeCloseTo(
      (found as unknown as Evaluation).metrics.accuracy ?? Number.NaN,
      12,
    );
    expect(lines[5]).toMatchObject({ index: 5, label: expect.any(Number) });
    const locked = json('lock', 'model', 'locked', ...authorized, ...briefLock);
    const test = locked.test as unknown as { after: { float32: Evaluation } };
    expect(test.after.float32.metrics.accuracy).toBe((found as unknown as Evaluation).metrics.accuracy);
  });

  it('inspect shows the singular values that lock reports', () => {
    const { matrices } = json('inspect', 'locked', '--top-k', '3') as unknown as {
      matrices: { name: string; sigma: number[]; condition: number; frobenius: number }[];
    };
    expect(matrices).toHaveLength(6);
    const locked = json('lock', 'model', 'locked', ...authorized, ...briefLock);
    const { spectra } = locked as unknown as { spectra: { name: string; after: number[] }[] };
    for (const { name, sigma, condition, frobenius } of matrices) {
      expect(sigma).toEqual(spectra.find((matrix) => matrix.name === name)?.after.slice(0, 3));
      expect(condition).toBeGreaterThan(1);
      expect(frobenius).toBeGreaterThanOrEqual(sigma[0]);
    }
    const table = weightlock('inspect', 'locked/model.safetensors').stdout;
    expect(table).toContain('σ4');
    expect(table).toContain('conv2.weight');
  });

  it('attack compares the locked model, the unlocked one and random weights; report makes its page again', async () => {
    const found = json('attack', 'locked', '--unlocked', 'model', ...unauthorized, ...brief);
    const { rows, report } = found as unknown as {
      rows: { start: string; kind: string; optimizer: string }[];
      report: string;
    };
    // Fourteen trained starts (unlocked as it is, rescaled, reset, both; locked the same, and each of them clipped; random
    // weights as they are and rescaled), those as they are with two optimizers, and two frozen uses, each for cost and score; three white-box uses, of
    // which only the score is measured.
    expect(new Set(rows.map(({ start, kind }) => `${start} ${kind}`)).size).toBe(19);
    expect(rows).toHaveLength(2 * (3 * 2 + 11 + 2) + 3);
    const page = readFileSync(resolve(root, report), 'utf8');
    expect(page).not.toMatch(/(src|href)=["']?https?:/);
    // Three charts, each for wide and narrow screens.
    expect(page.match(/<svg/g)).toHaveLength(6);
    expect(json('report', dirname(report), '--output', 'again.html')).toEqual({ output: 'again.html' });
    expect(readFileSync(join(root, 'again.html'), 'utf8')).toBe(page);
    const asPage = ['report', dirname(report), '--page', 'pages', '--name', 'suite', '--title', 'All | of *it*'];
    expect(json(...asPage)).toEqual({ output: join('pages', 'suite.md') });
    const markdown = readFileSync(join(root, 'pages/suite.md'), 'utf8');
    expect(markdown).toMatch(/^<!-- Written by weightlock\. -->\n\n# All \\\| of \\\*it\\\*\n/);
    const pictures = readdirSync(join(root, 'pages')).filter((name) => name.endsWith('.svg'));
    expect(Array.from(markdown.matchAll(/\]\((suite-\d\.svg)\)/g), ([, file]) => file)).toEqual(pictures);
    expect(pictures).toHaveLength(3);
    expect(await refusal('report', dirname(report), '--name', 'suite')).toContain('--name: expected --page with it');
    writeFileSync(join(root, 'pages/mine.md'), '# Mine');
    expect(await refusal(...asPage.slice(0, 4), '--name', 'mine')).toContain(
      'found another file, which is not overwritten',
    );
    const text = weightlock('attack', 'locked', '--unlocked', 'model', ...unauthorized, ...brief).stdout;
    const lines = text.split('\n').filter((part) => part.includes('  '));
    expect(lines.length).toBeGreaterThan(20);
    for (const line of lines.slice(0, 20)) expect(line.length).toBeLessThanOrEqual(80);
    expect(text).toContain('Attacks on the unauthorized task');
  });

  it('a model that changed under the same path is another run', async () => {
    const run = async (...args: string[]) => {
      const { status, stdout, stderr } = await runCommand(root, [...args, ...authorized, '--quiet']);
      expect(status, stderr).toBe(0);
      return stdout;
    };
    const lock = () => run('lock', 'changing', 'x', '--specdef.steps', '2', '--dry-run');
    await run('train', 'changing', '--steps', '3');
    const before = await lock();
    await run('train', 'changing', '--steps', '4', '--force');
    expect(await lock()).not.toBe(before);
  });
});

describe('dry runs and refusals', () => {
  it('--dry-run writes nothing', async () => {
    const before = readdirSync(root)
      .concat(readdirSync(join(root, 'runs')))
      .sort();
    for (const args of [
      ['train', 'dry', ...authorized],
      ['lock', 'model', 'dry', ...authorized],
      ['attack', 'locked', ...unauthorized, '--seeds', '3,4'],
      ['evaluate', 'locked', ...authorized, '--predictions', 'dry.jsonl'],
      ['inspect', 'locked'],
      ['demo', '--seed', '77'],
    ]) {
      const { status, stdout } = await runCommand(root, [...args, '--dry-run', '--quiet']);
      expect([status, stdout.startsWith('would ')], args.join(' ')).toEqual([0, true]);
    }
    expect(
      readdirSync(root)
        .concat(readdirSync(join(root, 'runs')))
        .sort(),
    ).toEqual(before);
  });

  it('names what is wrong in one line', async () => {
    expect(await refusal('lock', 'nothing', 'x')).toContain('nothing: expected a model directory, found nothing');
    expect(await refusal('evaluate', 'model', '--data.classes', '0,11')).toContain(
      'expected classes from 0 to 9, got 11',
    );
    expect(await refusal('evaluate', 'model', '--data.classes', '0,1,2,3')).toContain(
      'expected at most 3 classes for the model, found 4',
    );
    expect(await refusal('train', 'x', '--data.name', 'digit')).toContain('digit');
    expect(await refusal('lock', 'model', 'x', ...authorized, '--specdef.include', 'head.*')).toContain(
      'specdef.include: expected a pattern that matches a weight matrix, got head.* (flag --specdef.include)',
    );
    expect(await refusal('lock', 'model', 'x', ...authorized, '--specdef.alpha', '2')).toContain('specdef.alpha');
    expect(await refusal('attack', 'model', ...unauthorized, '--seeds', '1', '--search-seeds', '1')).toContain(
      'got 1 in both',
    );
    expect(await refusal('lock', 'model', 'x', ...authorized, '--method', 'erase', '--secret', 'nothing')).toContain(
      'secret: nothing: expected a file, found nothing (flag --secret)',
    );
    expect(await refusal('train', 'x', '--from', 'model', '--key', 'nothing')).toContain(
      'key: nothing: expected a file, found nothing (flag --key)',
    );
    const named = (name: string) => refusal('attack', 'model', ...unauthorized, '--attacks', name);
    expect(await named('nothing')).toMatch(/^error: attacks: expected one of .*, found "nothing" \(flag --attacks\)$/m);
    expect(await named('interpolate')).toContain(
      'interpolate.parent: expected text, got nothing; give --interpolate.parent or the key in --config',
    );
    expect(await named('by-name')).toContain(
      'by-name.include: expected a list, got nothing; give --by-name.include or the key in --config',
    );
    expect(await refusal('report', 'runs')).toContain('expected a run folder');
    expect(await refusal('inspect', 'model/config.json')).toContain('config.json');
    expect(existsSync(join(root, 'x'))).toBe(false);
  });
});

/** Waits until a list holds what it does not hold yet. */
async function untilNew(list: () => string[]): Promise<void> {
  const known = new Set(list());
  while (list().every((entry) => known.has(entry))) await setTimeout(20);
}

it('Ctrl-C ends with exit code 130 and the same command goes on to the same weights', async () => {
  const args = [...authorized, '--architecture', 'mlp', '--steps', '900', '--quiet'];
  const runs = join(root, 'runs');
  const checkpoints = () =>
    existsSync(runs)
      ? readdirSync(runs, { recursive: true, encoding: 'utf8' }).filter((file) =>
          /checkpoints.*\.safetensors$/.test(file),
        )
      : [];
  const child = spawn(process.execPath, [main, 'train', 'broken', ...args], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const ended = once(child, 'exit');
  // Its first checkpoint, after 200 steps, says that it trains.
  await Promise.race([ended, untilNew(checkpoints)]);
  child.kill('SIGINT');
  const [code] = await ended;
  expect(code).toBe(130);
  expect(stderr).toMatch(/interrupted after step \d+ of 900.*run the same command/);
  expect(existsSync(join(root, 'broken'))).toBe(false);
  expect(weightlock('train', 'broken', ...args).status).toBe(0);
  expect(weightlock('train', 'whole', ...args).status).toBe(0);
  const bytes = (name: string) => readFileSync(join(root, name, 'model.safetensors'));
  expect(bytes('broken').equals(bytes('whole'))).toBe(true);
});
