import { expect, it } from 'vitest';
import { add, Graph, matMul, mul, type Tensor } from '../graph/index.js';
import { ProgramCache } from './index.js';

it('ProgramCache keeps a bounded number of programs: the longest unused goes, and is compiled again when it is asked for', async () => {
  const cache = new ProgramCache({ threads: 1 }, { limit: 2 });
  const compiled: number[] = [];
  const sum = async (n: number) => {
    const program = await cache.get(`plus ${n}`, () => {
      compiled.push(n);
      return { y: add(new Graph().input('x', [2]), n) };
    });
    return [...((await program.run({ x: Float32Array.of(1, 2) })).y as Float32Array)];
  };
  expect(await sum(1)).toEqual([2, 3]);
  expect(await sum(2)).toEqual([3, 4]);
  expect(await sum(1)).toEqual([2, 3]);
  expect(compiled).toEqual([1, 2]);
  // The third puts out the second, which was unused for longer than the first.
  expect(await sum(3)).toEqual([4, 5]);
  expect(await sum(1)).toEqual([2, 3]);
  expect(compiled).toEqual([1, 2, 3]);
  expect(await sum(2)).toEqual([3, 4]);
  expect(compiled).toEqual([1, 2, 3, 2]);
  await cache.release();
});

it('ProgramCache keeps what holds a bounded number of bytes, and the one used last whatever it holds', async () => {
  // Of each 100 elements the sum is held beside the product: 800 bytes.
  const cache = new ProgramCache({ threads: 1, memory: 1700 });
  let compiled = 0;
  const use = (key: string, size: number) =>
    cache.get(key, () => {
      compiled++;
      const x = new Graph().input('x', [size]);
      return { y: mul(add(x, x), x) };
    });
  for (const key of ['a', 'b', 'a', 'b']) await use(key, 100);
  expect(compiled).toBe(2);
  // The third is too much: the longest unused goes.
  for (const key of ['c', 'b']) await use(key, 100);
  expect(compiled).toBe(3);
  await use('a', 100);
  expect(compiled).toBe(4);
  for (const key of ['large', 'large']) await use(key, 1000);
  expect(compiled).toBe(5);
  await cache.release();
});

it('counts what it computes for whoever asks of several caches, too', async () => {
  const tally = { flops: 5 };
  const caches = [new ProgramCache({ threads: 1, tally }), new ProgramCache({ threads: 1, tally })];
  for (const cache of caches) {
    const program = await cache.get('sum', () => {
      const x = new Graph().input('x', [4, 4]);
      return { y: add(x, x) };
    });
    await program.run({ x: new Float32Array(16) });
  }
  expect([tally.flops, ...caches.map(({ flops }) => flops)]).toEqual([5 + 2 * 16, 16, 16]);
  await Promise.all(caches.map((cache) => cache.release()));
});

it('ProgramCache counts what its programs compute at each run, those that it has let go too', async () => {
  const cache = new ProgramCache({ threads: 1 }, { limit: 1 });
  const run = async (key: string, outputs: (x: Tensor) => Tensor) => {
    const program = await cache.get(key, () => ({ y: outputs(new Graph().input('x', [4, 4])) }));
    await program.run({ x: new Float32Array(16) });
    return program.flops;
  };
  // Two multiplications and additions of 16 each, four times; then 16 additions.
  expect(await run('product', (x) => matMul(x, x))).toBe(128);
  expect(await run('product', (x) => matMul(x, x))).toBe(128);
  expect(await run('sum', (x) => add(x, x))).toBe(16);
  expect(cache.flops).toBe(2 * 128 + 16);
  await cache.release();
  expect(cache.flops).toBe(2 * 128 + 16);
});
