import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { add, cast, Graph, gather, matMul, mul, reduceSum, reshape } from '../graph/index.js';
import { compile, EngineError, type Program } from './program.js';

/** y = x·w of `[2, 3]` and `[3, 2]`, and the sum of y times an int32 factor. */
function product(): Promise<Program> {
  const graph = new Graph();
  const y = matMul(graph.input('x', [2, 3]), graph.input('w', [3, 2]));
  const factor = cast(graph.input('factor', [], 'int32'), 'float32');
  graph.input('unused', [7]);
  return compile({ y, total: mul(reduceSum(y), factor) }, { threads: 1 });
}

const feeds = () => ({
  x: Float32Array.of(1, 2, 3, 4, 5, 6),
  w: Float32Array.of(1, 0, 0, 1, 2, 2),
  factor: Int32Array.of(10),
});

describe('Program', () => {
  it('asks for the inputs that its outputs need, no others', async () => {
    const program = await product();
    expect([...program.inputs]).toEqual(
      [
        ['x', { shape: [2, 3], dtype: 'float32' }],
        ['w', { shape: [3, 2], dtype: 'float32' }],
        ['factor', { shape: [], dtype: 'int32' }],
      ].map(([name, type]) => [name, expect.objectContaining(type as object)]),
    );
    const { y, total } = await program.run(feeds());
    expect([...y]).toEqual([7, 8, 16, 17]);
    expect([...total]).toEqual([480]);
    await program.release();
  });

  it('refuses a missing input, another length and another type, and runs afterwards', async () => {
    const program = await product();
    const { factor: _, ...missing } = feeds();
    await expect(program.run(missing)).rejects.toThrow(/expected a value for input factor int32\[\], got none/);
    await expect(program.run({ ...feeds(), x: new Float32Array(5) })).rejects.toThrow(
      /expected float32\[2,3\] for input x, got Float32Array of 5/,
    );
    await expect(program.run({ ...feeds(), w: new Float64Array(6) })).rejects.toThrow(/w, got Float64Array of 6/);
    await expect(program.run({ ...feeds(), factor: Float32Array.of(1) })).rejects.toThrow(EngineError);
    expect([...(await program.run(feeds())).y]).toEqual([7, 8, 16, 17]);
    await program.release();
  });

  it('reads a fed array anew at every run, and fills the same outputs', async () => {
    const program = await product();
    const fed = feeds();
    const first = await program.run(fed);
    const kept = first.y.slice();
    fed.x[0] = 101;
    fed.factor[0] = -1;
    const second = await program.run(fed);
    expect(second.y).toBe(first.y);
    expect([...second.y]).toEqual([107, 8, 16, 17]);
    expect([...second.total]).toEqual([-148]);
    expect([...kept]).toEqual([7, 8, 16, 17]);
    // Another array for the same input, then the first again.
    expect([...(await program.run({ ...fed, x: new Float32Array(6) })).y]).toEqual([0, 0, 0, 0]);
    expect([...(await program.run(fed)).y]).toEqual([107, 8, 16, 17]);
    await program.release();
  });

  it('takes a part of a larger array', async () => {
    const program = await product();
    const large = Float32Array.of(9, 9, 1, 2, 3, 4, 5, 6, 9);
    expect([...(await program.run({ ...feeds(), x: large.subarray(2, 8) })).y]).toEqual([7, 8, 16, 17]);
    await program.release();
  });

  it('refuses a second run while one is under way', async () => {
    const program = await product();
    const running = program.run(feeds());
    await expect(program.run(feeds())).rejects.toThrow(/expected the previous run to have ended/);
    expect([...(await running).y]).toEqual([7, 8, 16, 17]);
    await program.release();
  });

  /** Large enough for its outputs to be written without copies; row `index` of w, twice, one time reshaped. */
  async function largeOutputs(): Promise<Program> {
    const graph = new Graph();
    const [w, index] = [graph.input('w', [2, 20_000]), graph.input('index', [], 'int32')];
    const row = mul(gather(w, index, 0), 2);
    return compile({ row, square: reshape(row, [100, 200]) }, { threads: 1 });
  }

  it('fills large outputs in place, and reshaped ones, without new memory', async () => {
    const program = await largeOutputs();
    const w = Float32Array.from({ length: 40_000 }, (_, i) => i);
    const first = await program.run({ w, index: Int32Array.of(0) });
    expect([first.row[7], first.square[19_999]]).toEqual([14, 39_998]);
    const before = process.memoryUsage().arrayBuffers;
    const second = await program.run({ w, index: Int32Array.of(1) });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1000);
    expect(second.row).toBe(first.row);
    expect([second.row[7], second.square[19_999]]).toEqual([40_014, 79_998]);
    await program.release();
  });

  it('still fails where a run fails', async () => {
    const program = await largeOutputs();
    const w = new Float32Array(40_000);
    await expect(program.run({ w, index: Int32Array.of(5) })).rejects.toThrow(
      /^run: .*indices element out of data bounds, idx=5/,
    );
    expect([...(await program.run({ w, index: Int32Array.of(1) })).row.slice(0, 2)]).toEqual([0, 0]);
    await program.release();
  });

  it('does not run after its release', async () => {
    const program = await product();
    await program.release();
    await expect(program.run(feeds())).rejects.toThrow(EngineError);
  });

  it('writes the profile of its runs until the release', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weightlock-profile-'));
    const graph = new Graph();
    const x = graph.input('x', [4]);
    const program = await compile({ y: add(x, x) }, { threads: 1, profilePrefix: join(folder, 'run') });
    await program.run({ x: new Float32Array(4) });
    await program.release();
    const [file] = readdirSync(folder);
    const events = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { args?: { op_name?: string } }[];
    expect(events.filter(({ args }) => args?.op_name === 'Add').length).toBeGreaterThan(0);
    rmSync(folder, { recursive: true });
    expect(existsSync(folder)).toBe(false);
  });
});

describe('compile', () => {
  it('refuses a device that is not there', async () => {
    const x = new Graph().input('x', [1]);
    await expect(compile({ y: add(x, 1) }, { device: 'abacus' })).rejects.toThrow(EngineError);
  });

  it('gives the same numbers with optimization off', async () => {
    const graph = new Graph();
    const x = graph.input('x', [3, 3]);
    const y = add(mul(matMul(x, x), 2), x);
    const values = Float32Array.of(1, -2, 3, 0, 5, 1, -1, 2, 2);
    const results: number[][] = [];
    for (const optimize of [true, false]) {
      const program = await compile({ y }, { optimize, threads: 1 });
      results.push([...(await program.run({ x: values })).y] as number[]);
      await program.release();
    }
    expect(results[0]).toEqual(results[1]);
  });
});
