import { expect, it } from 'vitest';
import { shamSentence } from './attack-sentences.js';
import { boundedSentences } from './bounded-sentences.js';

it('names the attacks that ruin the model, where they are not too many to read', () => {
  const attacks = (n: number) => Array.from({ length: n }, (_, index) => `attack-${index}, adamw`);
  const said = (n: number) => boundedSentences({ drop: 0.05, worst: {}, ruining: attacks(n) }, []);
  expect(said(0)).toEqual([]);
  expect(said(2)).toEqual([
    '2 attacks on the locked model cost the authorized task more than that: attack-0, adamw; attack-1, adamw.',
  ]);
  expect(said(13)).toEqual([
    '13 attacks on the locked model cost the authorized task more than that, marked in the table.',
  ]);
});

it('says what the sham lock leaves, and where nothing is measured', () => {
  const value = { n: 6, confidence: 0.95 };
  expect(shamSentence({ cost: { ...value, ratio: 0.5 }, score: { ...value, ratio: 0.981, low: 0.8, high: 1.3 } })).toBe(
    'The sham lock, the same training without the lock, leaves of the advantage: nothing that can be measured in cost, 0.98 (0.80 to 1.30) in score.',
  );
});
