import { expect, it } from 'vitest';
import { lockedSentence } from './locked-sentence.js';

const moved = { changed: 12, of: 14, distance: 0.0831, most: { name: 'fc1.weight', distance: 0.31 } };
const evaluation = (kl: number) => ({ n: 10, metrics: { kl } });
const types = (kl: number) => ({ float32: evaluation(kl), float16: evaluation(kl), bfloat16: evaluation(kl) });

it('says how far weights moved and what that did to the outputs, or that it was not measured', () => {
  const weights =
    'Weights: 12 of 14 tensors changed, by 0.083 of their norm (‖θ′ − θ‖ / ‖θ‖); most fc1.weight, by 0.310 of its own.';
  expect(lockedSentence({ moved })).toBe(`${weights} Output error: not measured, as no data were given.`);
  const test = { task: 'classification', guessing: 0.5, before: types(0), after: types(0.0104) };
  expect(lockedSentence({ moved, test })).toMatch(/ Output error: KL to the original 0\.0104 nats on test examples\.$/);
  const story = { outputError: { float32: { original: 0, locked: 3.1e-6 } } };
  expect(lockedSentence({ moved, story })).toMatch(/ Output error: 3\.100e−6 of the largest output, on noise\.$/);
  const broken = { outputError: { float32: { original: 0, locked: null } } };
  expect(lockedSentence({ moved, story: broken })).toMatch(/ Output error: outputs on noise are not finite\.$/);
  expect(lockedSentence({ moved: { changed: 0, of: 14, distance: 0 }, test })).toBe(
    'Weights: none of 14 tensors changed.',
  );
  expect(lockedSentence({})).toBe('Output error: not measured, as no data were given.');
});
