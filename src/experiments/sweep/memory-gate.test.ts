import { expect, it, vi } from 'vitest';
import { MemoryGate } from './memory-gate.js';

const never = new AbortController().signal;

/** Whether something has happened by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol('open');
  return (await Promise.race([promise, new Promise((resolve) => setImmediate(resolve, open))])) !== open;
}

it('lets in as many as memory holds, and the next ones when some have ended, in their order', async () => {
  const onWait = vi.fn();
  const gate = new MemoryGate(10, onWait);
  const [first, second] = [await gate.enter(4, never), await gate.enter(5, never)];
  const large = gate.enter(8, never);
  const small = gate.enter(1, never);
  // There is room for the small one, but it came later: else a large one may never begin.
  expect(await isSettled(large)).toBe(false);
  expect(await isSettled(small)).toBe(false);
  expect(onWait.mock.calls).toEqual([[2]]);
  first();
  expect(await isSettled(large)).toBe(false);
  second();
  expect(await isSettled(large)).toBe(true);
  expect(await isSettled(small)).toBe(true);
});

it('lets one in that is larger than memory, alone', async () => {
  const gate = new MemoryGate(10);
  const small = await gate.enter(1, never);
  const large = gate.enter(100, never);
  expect(await isSettled(large)).toBe(false);
  small();
  const end = await large;
  const next = gate.enter(1, never);
  expect(await isSettled(next)).toBe(false);
  end();
  expect(await isSettled(next)).toBe(true);
});

it('forgets one that is interrupted while it waits, and lets in who waits behind it', async () => {
  const gate = new MemoryGate(10);
  await gate.enter(4, never);
  const stop = new AbortController();
  const large = gate.enter(8, stop.signal);
  const small = gate.enter(5, never);
  stop.abort();
  await expect(large).rejects.toThrow('interrupted');
  expect(await isSettled(small)).toBe(true);
  expect(await isSettled(gate.enter(2, never))).toBe(false);
});
