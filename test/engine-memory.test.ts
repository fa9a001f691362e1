import { expect, it } from 'vitest';
import { memoryGrowth } from './support/engine-memory.js';

it('300 training steps and 40 compiled and released programs keep their memory', () => {
  const { bySteps, byCycles } = memoryGrowth(300, 40);
  // Measured: at most 1 and 28 MiB, the latter by the allocator's first growth. The gradients are 0.2 MiB a step and a
  // program some 6 MiB, so keeping either would add 60 or 240 MiB.
  expect(bySteps, 'MiB by steps').toBeLessThan(8);
  expect(byCycles, 'MiB by programs').toBeLessThan(60);
});
