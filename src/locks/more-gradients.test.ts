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

it.each([
  ['specdef', {}, 0],
  ['redistil', {}, 0],
  ['redistil', { barrier: { weight: 1 } }, 1],
  // One of attacks on half as many examples.
  ['trap', {}, 0.5],
  // The distance of the hidden layers; of attacks, and of what they are judged by, on half as many examples.
  ['tar', {}, 2],
  ['repnoise', {}, 1],
  ['immunize', {}, 2],
])('%s %j holds %d programs beside that of its steps', (name, options, expected) => {
  const method = lockMethods.get(name);
  expect(method.training?.(method.options.parse(options)).morePrograms ?? 0).toBe(expected);
});

it('of stages the one that holds most counts, not the one of the largest batch', () => {
  const staged = stagedLock([lockMethods.get('specdef'), lockMethods.get('immunize')]);
  const training = staged.training?.(staged.options.parse({ specdef: { batchSize: 64 }, immunize: { batchSize: 32 } }));
  expect(training).toMatchObject({ batchSize: 32, morePrograms: 2 });
});

it('stages compute as many on average over their steps', () => {
  const staged = stagedLock([lockMethods.get('redistil'), lockMethods.get('tar')]);
  expect(staged.moreGradients?.(staged.options.parse({ redistil: { steps: 30 }, tar: { steps: 10 } }))).toBeCloseTo(
    41 / 4,
  );
});
