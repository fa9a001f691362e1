import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { watch } from './support/watched-process.js';

/** ONNX Runtime's first upload came 9.5 seconds after its library was loaded. */
const stay = `
const { engine, graph } = await import(${JSON.stringify(pathToFileURL(resolve('dist/index.js')).href)});
const g = new graph.Graph();
const program = await engine.compile({ y: graph.mul(g.input('x', [1]), 3) });
await program.run({ x: Float32Array.of(2) });
await new Promise((done) => setTimeout(done, 20_000));
await program.release();`;
const tracer = ['strace', '-f', '-e', 'trace=socket,connect,sendto,sendmsg,sendmmsg', '-o', 'calls.txt'];
const works = (command: readonly string[]) => spawnSync(command[0], [...command.slice(1), 'true']).status === 0;
/** A network of its own without a way out, for the process that is meant to try. */
const nowhere = ['unshare', '--map-root-user', '--net'];

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-traced-'));
  await writeFile(join(root, 'stay.mjs'), stay);
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

/** Runs the program under strace; the calls that have to do with the internet. */
async function trace(prefix: readonly string[], env: Readonly<Record<string, string>>) {
  const watched = await watch(root, [...prefix, ...tracer, process.execPath, 'stay.mjs'], { env });
  const calls = (await readFile(join(root, 'calls.txt'), 'utf8')).split('\n');
  return { ...watched, calls: calls.filter((call) => /AF_INET|htons/.test(call)) };
}

describe.skipIf(!works(['strace', '-o', '/dev/null']))('system calls, where strace is installed', () => {
  it('no internet socket is ever asked for', async () => {
    expect(await trace([], {})).toEqual({ exitCode: 0, output: '', files: [], proxied: [], sockets: [], calls: [] });
  });

  it.skipIf(!works(nowhere))(
    'the same watch sees ONNX Runtime try where its telemetry is on, without a way out',
    async () => {
      const { files, calls } = await trace(nowhere, { ORT_DISABLE_TELEMETRY: '0' });
      expect(files).toContainEqual(expect.stringMatching(/^tmp.mat-debug-\d+\.log$/));
      expect(calls).not.toEqual([]);
    },
  );
});
