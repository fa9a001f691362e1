import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-demo-'));
});
afterAll(() => rm(root, { recursive: true }));

function weightlock(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [resolve('dist/cli/main.js'), ...args], { cwd: root, encoding: 'utf8' });
}

it('demo trains, locks, attacks and reports; again it reads what it found', () => {
  const small = [
    ...['--locks', '2'],
    ...[
      '--train.steps',
      '40',
      '--specdef.lead.share',
      '0.25',
      '--specdef.steps',
      '40',
      '--specdef.max-kl',
      'null',
      '--specdef.evaluate-every',
      '10',
      '--attack.cost-steps',
      '12',
      '--attack.optimizers',
      'adamw',
    ],
    ...['--attack.score-steps', '0', '--attack.seeds', '1,2', '--attack.search-seeds', '9'],
  ];
  const first = weightlock('demo', ...small, '--quiet');
  expect(first.status).toBe(0);
  const path = first.stdout.trimEnd().split('\n').at(-1) ?? '';
  expect(path).toMatch(/report\.html$/);
  const page = readFileSync(resolve(root, path), 'utf8');
  expect(page).not.toMatch(/(src|href)=["']?https?:/);
  // Three charts, each for wide and narrow screens.
  expect(page.match(/<svg/g)).toHaveLength(6);
  expect(first.stdout).toContain('Authorized accuracy:');
  const said = first.stdout.replaceAll('\n', ' ');
  expect(said).toContain('Over 2 draws of the lock: authorized score');
  expect(said).toContain('Authorized after: score of the authorized task');
  // The control beside the lock.
  expect(said).toMatch(/sham-locked .* fine-tun|sham-locked .* AdamW/);
  expect(weightlock('demo', ...small, '--quiet').stdout).toBe(first.stdout);
});
