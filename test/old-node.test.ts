import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkNode } from '../src/evidence/health.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weightlock-old-node-'));
  // Says of itself what an old Node.js says, and has nothing that the rest of the program could be loaded from.
  writeFileSync(
    join(folder, 'pretend.mjs'),
    `import { register } from 'node:module';
Object.defineProperty(process, 'versions', { value: { ...process.versions, node: process.env.PRETEND } });
const refuse = "export async function resolve(name, context, next) { if (name.includes('entry')) throw new Error('loaded the rest'); return next(name, context); }";
register('data:text/javascript,' + encodeURIComponent(refuse));`,
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

function weightlock(version: string, ...args: string[]) {
  const preload = pathToFileURL(join(folder, 'pretend.mjs')).href;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', preload, resolve('dist/cli/main.js'), ...args],
    { encoding: 'utf8', env: { ...process.env, PRETEND: version } },
  );
  return { status, stdout, stderr };
}

describe('an old Node.js', () => {
  it.each(['16.20.2', '18.20.4', '20.18.3'])('%s: doctor reports it, other commands refuse in one line', (version) => {
    const { status, stdout, stderr } = weightlock(version, 'doctor');
    expect([status, stderr]).toEqual([1, '']);
    expect(stdout).toMatch(`failed  Node.js  ${checkNode(version).detail}\n`);
    const { healthy, checks } = JSON.parse(weightlock(version, 'doctor', '--json').stdout);
    expect([healthy, checks]).toEqual([false, [checkNode(version)]]);
    expect(weightlock(version, 'lock')).toEqual({
      status: 2,
      stdout: '',
      stderr: `error: weightlock needs Node.js 20.19 or newer, found ${version}\n`,
    });
  });

  it('the rest is loaded with the oldest one that package.json admits', () => {
    const oldest = /^>=(\d+\.\d+)$/.exec(JSON.parse(readFileSync('package.json', 'utf8')).engines.node)?.[1];
    expect(weightlock(`${oldest}.0`, 'doctor').stderr).toContain('loaded the rest');
  });
});
