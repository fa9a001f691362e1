import { expect, it } from 'vitest';
import { shareOfMemory } from './worker-memory.js';

const GB = 1e9;
const programs = 8 * GB;

it('divides what compiled programs may hold, where there is enough of it', () => {
  expect(shareOfMemory({ workers: 4, programs, weightBytes: 1e6, free: 20 * GB })).toEqual({
    workers: 4,
    memory: 2 * GB,
  });
});

it('leaves programs what the weights of all processes leave', () => {
  // SmolLM2 on 24 GB beside a process that holds nine: two need 7.2 GB before a program, and were killed with 8 GB of them.
  const found = shareOfMemory({ workers: 2, programs, weightBytes: 0.54 * GB, free: 14 * GB });
  expect(found.workers).toBe(2);
  expect(2 * (found.memory + 0.34 * GB + 6 * 0.54 * GB)).toBeLessThanOrEqual(14 * GB);
  expect(found.memory).toBeGreaterThan(2 * 0.54 * GB);
});

it('starts fewer where memory does not hold so many, and one in any case', () => {
  const large = { programs, weightBytes: 2 * GB };
  expect(shareOfMemory({ ...large, workers: 4, free: 40 * GB }).workers).toBe(2);
  expect(shareOfMemory({ ...large, workers: 4, free: 1 * GB }).workers).toBe(1);
});
