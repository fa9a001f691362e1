import { expect, it } from 'vitest';
import { TaskQueue } from './task-queue.js';

it('waits for what others may still give, does that first, and ends when nothing is left', async () => {
  const queue = new TaskQueue(['a', 'b']);
  expect(await queue.next()).toBe('a');
  expect(await queue.next()).toBe('b');
  const taken: (string | undefined)[] = [];
  const waiting = [1, 2, 3].map(async () => {
    taken.push(await queue.next());
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(taken).toEqual([]);
  queue.done(['a1', 'a2']);
  await new Promise((resolve) => setImmediate(resolve));
  expect(taken.toSorted()).toEqual(['a1', 'a2']);
  queue.done();
  queue.done();
  await new Promise((resolve) => setImmediate(resolve));
  expect(taken).toHaveLength(2);
  queue.done();
  await Promise.all(waiting);
  expect(taken).toEqual(['a1', 'a2', undefined]);
  expect(await queue.next()).toBeUndefined();
});

it('does what a task gave before all that was there', async () => {
  const queue = new TaskQueue(['a', 'z']);
  await queue.next();
  queue.done(['b', 'c']);
  expect(queue.left).toBe(3);
  expect([await queue.next(), await queue.next(), await queue.next()]).toEqual(['b', 'c', 'z']);
});
