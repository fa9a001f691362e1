import { expect, it } from 'vitest';
import { memoryGrowth } from './support/engine-memory.js';

it('2,000 training steps keep their memory, 200 compiled and released programs leak at most 0.25 MiB each', () => {
  const { bySteps, byCycles } = memoryGrowth(2000, 200);
  console.log(`${bySteps.toFixed(1)} MiB by 2,000 steps, ${(byCycles / 200).toFixed(3)} MiB by each of 200 programs`);
  expect(bySteps, 'MiB by steps').toBeLessThan(8);
  // ONNX Runtime keeps some memory of every session: 0.06 to 0.13 MiB measured for this graph, most of it by the first.
  expect(byCycles / 200, 'MiB by a program').toBeLessThan(0.25);
});
