import { expect, it } from 'vitest';
import { lockMethods, stagedLock } from './index.js';

it.each([
  ['specdef', {}, 0],
  ['specdef-moved', {}, 1],
  ['specdef-moved', { clip: { weight: 0 } }, 0],
  ['redistil', {}, 0],
  ['redistil', { barrier: { weight: 1 } }, 1],
  // Half of 16 steps and one where it ends, on half as many examples.
  ['trap', {}, 4.5],
  ['trap', { weight: 0 }, 0],
  // 64 steps that are judged 16 times, on half as many examples, and the distance of the hidden layers.
  ['tar', {}, 41],
  ['tar', { weight: 0 }, 1],
  ['repnoise', {}, 1],
  ['immunize', {}, 2],
])('%s %j computes %d gradients a step beside its retain loss', (name, options, expected) => {
  const method = lockMethods.get(name);
  expect(method.moreGradients?.(method.options.parse(options)) ?? 0).toBe(expected);
});

it('stages compute as many on average over their steps', () => {
  const staged = stagedLock([lockMethods.get('redistil'), lockMethods.get('tar')]);
  expect(staged.moreGradients?.(staged.options.parse({ redistil: { steps: 30 }, tar: { steps: 10 } }))).toBeCloseTo(
    41 / 4,
  );
});
