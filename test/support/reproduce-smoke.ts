import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect } from 'vitest';
import type { ReproductionResult } from '../../src/experiments/index.js';

/** The folder of real data sets. */
export const sharedData = resolve(process.env.WEIGHTLOCK_DATA ?? '../shared/data');
/** Whether it is there; says so where it is not. */
export const hasSharedData = existsSync(join(sharedData, 'mnist'));
if (!hasSharedData) console.log(`skipped: no data sets in ${sharedData} (set WEIGHTLOCK_DATA)`);

const main = resolve('dist/cli/main.js');

/** Runs an experiment at scale smoke and checks what any of them must leave behind. */
export function reproduceSmoke(name: string, root: string): ReproductionResult {
  const args = ['reproduce', name, '--scale', 'smoke', '--data', sharedData, '--page', 'pages', '--json'];
  const run = () => spawnSync(process.execPath, [main, ...args], { cwd: root, encoding: 'utf8' });
  const { status, stdout, stderr } = run();
  expect(stderr).toBe('');
  const found = JSON.parse(stdout) as ReproductionResult & { report: string };
  // Exit code 1 says that a claim does not hold, and nothing else does.
  expect(status).toBe(found.claims.some(({ verdict }) => verdict === 'fails') ? 1 : 0);
  expect(found).toMatchObject({ name, scale: 'smoke' });
  const page = readFileSync(join(root, 'pages', `${name}-smoke.md`), 'utf8');
  for (const text of [found.title, '## Claims', '## Environment', 'duration, minutes', 'scale: smoke']) {
    expect(page).toContain(text);
  }
  for (const [, file] of page.matchAll(/\]\(([^)]+\.svg)\)/g)) {
    expect(readFileSync(join(root, 'pages', file), 'utf8')).toMatch(/^<svg/);
  }
  const { attacks, tables, series = [], scatters = [] } = found;
  const drawn = attacks.length + tables.filter(({ rates }) => rates).length + series.length + scatters.length;
  expect(page.match(/\.svg\)/g) ?? []).toHaveLength(drawn);
  expect(readFileSync(found.report, 'utf8')).toContain('</html>');
  // The same again is done, and computes nothing.
  const written = () => statSync(join(dirname(found.report), 'result.json')).mtimeMs;
  const before = written();
  expect(JSON.parse(run().stdout)).toEqual(found);
  expect(written()).toBe(before);
  return found;
}
