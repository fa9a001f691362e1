import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { initializeModel, saveModel } from '../src/models/index.js';

let folder: string;
let example: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weightlock-readme-'));
  // As if weightlock and its types of Node.js were installed there.
  await mkdir(join(folder, 'node_modules/@types'), { recursive: true });
  symlinkSync(resolve('.'), join(folder, 'node_modules/weightlock'));
  symlinkSync(resolve('node_modules/@types/node'), join(folder, 'node_modules/@types/node'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  const blocks = [...readFileSync('README.md', 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code);
  expect(blocks).toHaveLength(1);
  example = blocks[0];
});
afterAll(() => rmSync(folder, { recursive: true }));

const node = (...args: string[]) => spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });

it('the library example compiles under the strictest settings, against the built declarations', () => {
  const options = {
    ...{ strict: true, noUnusedLocals: true, noUnusedParameters: true, exactOptionalPropertyTypes: true },
    ...{ target: 'ES2023', lib: ['ES2023'], module: 'NodeNext', moduleResolution: 'NodeNext', types: ['node'] },
    ...{ outDir: 'out', preserveSymlinks: false, skipLibCheck: true },
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['example.ts'] }));
  // Few steps, so that the next test can run it.
  const brief = example.replace('topK: 4', 'topK: 4, steps: 2');
  expect(brief).not.toBe(example);
  writeFileSync(join(folder, 'example.ts'), brief);
  const { status, stdout } = node(resolve('node_modules/typescript/bin/tsc'), '-p', '.');
  expect([stdout, status]).toEqual(['', 0]);
});

it('and runs, saying how far it has come', async () => {
  await saveModel(join(folder, 'model'), initializeModel('cnn', { num_labels: 5 }, 1));
  const { status, stdout, stderr } = node('out/example.js');
  expect([stderr, status]).toEqual(['', 0]);
  expect(stdout).toMatch(/^(step \d+: mean σ \d+\.\d\n)+$/);
  expect(readFileSync(join(folder, 'locked/model.safetensors')).byteLength).toBeGreaterThan(10_000);
});
