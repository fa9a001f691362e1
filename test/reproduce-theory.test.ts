import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reproduceSmoke } from './support/reproduce-smoke.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-theory-'));
});
afterAll(() => rm(root, { recursive: true }));

it.each([
  [['fig1', '--models', 'a'], '--models: expected an experiment with a choice of models, found fig1'],
  [
    ['table1-text', '--models', 'all-minilm-l6-v2,gpt'],
    '--models: expected some of all-minilm-l6-v2, smollm2-135m-instruct, deberta-v3-xsmall for table1-text, found gpt',
  ],
  [['fig1', '--locks', 'erase'], '--locks: expected an experiment with a choice of locks, found fig1'],
  [
    ['frontier', '--models', 'resnet20', '--locks', 'dlr'],
    'spectral-closed, rebalance for resnet20 at scale small, found dlr',
  ],
  [['frontier', '--models', 'smollm2-reviews'], 'for frontier at scale small, found smollm2-reviews'],
  [['frontier', '--locks', 'erase,eras'], 'for frontier, found eras'],
  [
    ['fig3', '--sweep', 'none'],
    "--sweep none: expected an experiment that searches beside the paper's cells, found fig3",
  ],
])('refuses what an experiment has not: %j', (args, expected) => {
  const { status, stderr } = spawnSync(process.execPath, [resolve('dist/cli/main.js'), 'reproduce', ...args], {
    encoding: 'utf8',
  });
  expect(stderr.replaceAll(/\s+/g, ' ')).toContain(expected);
  expect(status).toBe(2);
});

it('a run is the same wherever its page is written', () => {
  const folderOf = (...more: string[]) => {
    const args = ['reproduce', 'fig1', '--scale', 'smoke', '--dry-run', '--quiet', ...more];
    const { stdout } = spawnSync(process.execPath, [resolve('dist/cli/main.js'), ...args], {
      cwd: root,
      encoding: 'utf8',
    });
    return /reproduce-[0-9a-f]+/.exec(stdout)?.[0];
  };
  expect(folderOf()).toMatch(/^reproduce-/);
  expect(folderOf('--page', 'pages')).toBe(folderOf());
  expect(folderOf('--seed', '2')).not.toBe(folderOf());
});

// These need no data sets.
describe('reproduce, at scale smoke', () => {
  it('fig1: steps grow with κ as theory says, and learning rates end where it says', () => {
    const { claims, series } = reproduceSmoke('fig1', root);
    expect(claims.map(({ verdict }) => verdict)).toEqual(['holds', 'holds', 'holds']);
    const [steps] = series ?? [];
    const labels = steps.lines.filter(({ theory }) => !theory).map(({ label }) => label);
    expect(labels).toEqual(['gradient descent', 'heavy ball', 'Nesterov', 'Adam']);
    for (const { points } of steps.lines) expect(points.map(({ x }) => x)).toEqual([1, 10, 100, 1000]);
  });
});
