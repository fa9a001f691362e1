import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { watch } from './support/watched-process.js';

const main = resolve('dist/cli/main.js');
const library = JSON.stringify(pathToFileURL(resolve('dist/index.js')).href);
/** A program that computes 3·2 through the library's engine. */
const compute = `
const { engine, graph } = await import(${library});
const g = new graph.Graph();
const program = await engine.compile({ y: graph.mul(g.input('x', [1]), 3) });
console.log((await program.run({ x: Float32Array.of(2) })).y[0]);
await program.release();`;
const quiet = { files: [], proxied: [], sockets: [] };

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-quiet-'));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('nothing leaves the machine: no file of telemetry, no connection', () => {
  it('by the library', async () => {
    await writeFile(join(root, 'compute.mjs'), compute);
    expect(await watch(root, [process.execPath, 'compute.mjs'])).toEqual({ exitCode: 0, output: '6\n', ...quiet });
  });

  it('by a command', async () => {
    const train = ['train', 'model', '--data.classes', '0,1,2', '--steps', '3', '--threads', '1', '--quiet'];
    expect(await watch(root, [process.execPath, main, ...train])).toMatchObject({ exitCode: 0, ...quiet });
  });

  it('by the process in which an attack runs', async () => {
    const attack = `
import { attacks, data, models } from ${library};
await models.saveModel('released', models.initializeModel('mlp', { num_labels: 3 }, 1));
const task = {
  id: 'brief',
  start: { kind: 'model', path: 'released' },
  optimizer: { name: 'adamw' },
  data: data.dataSpec.parse({ classes: [0, 1, 2], testLimit: 50 }),
  steps: 2,
  batchSize: 8,
  budget: { decades: [-3], refine: false, searchSeeds: [1], seeds: [2] },
};
await attacks.runAttackTasks([task], {
  workers: 1,
  onResult: async (_, { trials }) => console.log(trials.length),
});`;
    await writeFile(join(root, 'attack.mjs'), attack);
    expect(await watch(root, [process.execPath, 'attack.mjs'])).toEqual({ exitCode: 0, output: '1\n', ...quiet });
  });

  it('by a worker thread, whose environment native code does not read, unless it cannot be helped: then it refuses', async () => {
    const start = `
import { Worker } from 'node:worker_threads';
new Worker(new URL('compute.mjs', import.meta.url), { env: JSON.parse(process.argv[2]) ?? undefined })
  .on('error', (error) => console.log(error.message));`;
    await writeFile(join(root, 'compute.mjs'), compute);
    await writeFile(join(root, 'bare.mjs'), start);
    await writeFile(join(root, 'imported.mjs'), `import ${library};${start}`);
    const run = (file: string, env: string) => watch(root, [process.execPath, file, env]);
    expect(await run('imported.mjs', 'null')).toEqual({ exitCode: 0, output: '6\n', ...quiet });
    const refusal = /^expected ORT_DISABLE_TELEMETRY in the environment of this worker thread/;
    for (const [file, env] of [
      ['bare.mjs', 'null'],
      ['bare.mjs', '{}'],
    ]) {
      expect(await run(file, env)).toEqual({ exitCode: 0, output: expect.stringMatching(refusal), ...quiet });
    }
  });

  it('the watch sees a file, a proxied request and a socket', async () => {
    const script = `
import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
writeFileSync(tmpdir() + '/.ses', '');
const socket = createSocket('udp4').connect(9, '127.0.0.1');
const { hostname, port } = new URL(process.env.https_proxy);
request({ hostname, port, method: 'CONNECT', path: 'example.invalid:443' })
  .on('error', () => setTimeout(() => socket.close(), 500))
  .end();`;
    await writeFile(join(root, 'chatty.mjs'), script);
    const seen = await watch(root, [process.execPath, 'chatty.mjs']);
    expect(seen).toMatchObject({ files: ['tmp/.ses'], proxied: ['CONNECT example.invalid:443 HTTP/1.1'] });
    if (process.platform === 'linux')
      expect(seen.sockets).toContainEqual(expect.stringMatching(/^udp .* to 0100007F:0009$/));
  });

  it('a choice of the user stands', async () => {
    const read = `import ${library}; console.log(process.env.ORT_DISABLE_TELEMETRY);`;
    await writeFile(join(root, 'choice.mjs'), `${read}${compute}`);
    // Without computing: the choice may be "on".
    await writeFile(join(root, 'only-import.mjs'), read);
    const chosen = (file: string, value: string) =>
      watch(root, [process.execPath, file], { env: { ORT_DISABLE_TELEMETRY: value } });
    expect((await chosen('only-import.mjs', '0')).output).toBe('0\n');
    // What a shell makes of `ORT_DISABLE_TELEMETRY= command`: not a choice.
    expect(await chosen('choice.mjs', '')).toEqual({ exitCode: 0, output: '1\n6\n', ...quiet });
  });
});
