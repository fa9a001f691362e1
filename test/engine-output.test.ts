import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';

it('ONNX Runtime writes nothing to the terminal itself, where it refuses a graph or a run fails', () => {
  const script = `
import { engine, graph } from ${JSON.stringify(pathToFileURL(resolve('dist/index.js')).href)};
const g = new graph.Graph();
const [w, index] = [g.input('\\u001b[31mw', [2, 3]), g.input('i', [], 'int32')];
const program = await engine.compile({ y: graph.gather(w, index, 0) });
const failure = program.run({ '\\u001b[31mw': new Float32Array(6), i: Int32Array.of(7) });
console.log(await failure.catch((error) => error.message));
await program.release();
const refusal = engine.compile({ y: graph.gather(w, index, 0) }, { device: 'cuda' });
console.log(await refusal.then(() => 'compile: cuda is here', (error) => error.message));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(stdout).toMatch(/^run: .*idx=7.*\ncompile: .*\n$/);
  expect(stderr).toBe('');
});
