import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const main = resolve('dist/cli/main.js');
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weightlock-e2e-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Runs the built command line in an empty folder. */
async function weightlock(...argv: string[]) {
  const { WEIGHTLOCK_DATA: _, ...env } = process.env;
  const child = spawn(process.execPath, [main, ...argv], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [exitCode]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { exitCode: exitCode as number, stdout, stderr };
}

describe('weightlock', () => {
  it('--version prints the version of package.json', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8'));
    expect(await weightlock('--version')).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('--help lists the commands on stdout; without arguments that is wrong usage, on stderr', async () => {
    const help = await weightlock('--help');
    expect([help.exitCode, help.stderr]).toEqual([0, '']);
    expect(help.stdout).toMatch(/Commands:\n\s+demo/);
    expect(await weightlock()).toEqual({ exitCode: 2, stdout: '', stderr: help.stdout });
  });

  it('doctor --json prints one JSON value, and nothing on stderr', async () => {
    const { exitCode, stdout, stderr } = await weightlock('doctor', '--json');
    const { healthy, checks } = JSON.parse(stdout);
    expect(checks.map(({ name }: { name: string }) => name)).toEqual([
      'Node.js',
      'ONNX Runtime',
      'cores',
      'memory',
      'disk',
      'runs folder',
      'data folder',
    ]);
    expect([exitCode, healthy, stderr]).toEqual([0, true, '']);
    expect(await readdir(folder)).toEqual([]);
  });

  it('doctor prints a table on stdout, and its configuration on stderr with --verbose', async () => {
    expect((await weightlock('doctor', '--threads', '1')).stderr).toBe('');
    const { stdout, stderr } = await weightlock('doctor', '--threads', '1', '--verbose');
    expect(stdout).toMatch(/^ok {6}Node\.js {7}\d+\.\d+\.\d+$/m);
    expect(stderr).toBe('weightlock doctor\n  threads  1  (flag)\n  device   "cpu"\n');
  });

  it('doctor ends with 1 when a check fails', async () => {
    await writeFile(join(folder, 'file'), '');
    const { exitCode, stdout } = await weightlock('doctor', '--runs', 'file');
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^failed {2}runs folder {3}file is not a folder$/m);
  });

  it.each([
    [['docter'], 'error: unknown command "docter"; did you mean doctor?\n'],
    [['docter', '--help'], 'error: unknown command "docter"; did you mean doctor?\n'],
    [['doctor', '--thread', '2'], "error: unknown option '--thread'; did you mean --threads?\n"],
    [['doctor', 'here'], "error: too many arguments for 'doctor'. Expected 0 arguments but got 1.\n"],
    [['doctor', '--config', 'unknown.yaml'], 'error: unknown.yaml: unknown key "thread"; did you mean threads?\n'],
    [
      ['doctor', '--config', 'bad.yaml', '--json'],
      'error: bad.yaml: expected YAML, Map keys must be unique at line 2, column 1\n',
    ],
    [
      ['doctor', '--device', 'gpu'],
      'error: device: expected one of cpu, cuda, webgpu, coreml, dml, got "gpu" (flag --device); did you mean cpu?\n',
    ],
  ])('%j is wrong usage: exit code 2 and one line', async (argv, stderr) => {
    await writeFile(join(folder, 'unknown.yaml'), 'thread: 2\n');
    await writeFile(join(folder, 'bad.yaml'), 'threads: 1\nthreads: 2\n');
    expect(await weightlock(...argv)).toEqual({ exitCode: 2, stdout: '', stderr });
  });

  it('ends quietly and as it would have when the reader of its output is gone', async () => {
    const child = spawn(process.execPath, [main, 'doctor', '--quiet'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();
    const [stderr, [exitCode]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    expect([stderr, exitCode]).toEqual(['', 0]);
  });
});
