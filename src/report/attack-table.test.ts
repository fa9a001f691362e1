import { expect, it } from 'vitest';
import { type AttackRow, attacks, factsOf, starts } from '../attacks/index.js';
import { attackTable } from './attack-table.js';

it('says what was trained where it was not all weights, so that no two attacks look alike', () => {
  const curve = [{ step: 0, score: 0.5 }];
  const trial = { learningRate: 0.01, seed: 1, curve, metrics: {}, score: 0.5, evaluations: 4, end: 'budget' as const };
  const row = (kind: string): AttackRow => {
    const attack = attacks.get(kind);
    return {
      ...factsOf(attack, starts.get('locked')),
      composition: { transforms: [], trained: { name: attack.trained.name }, optimizer: { name: 'adamw' } },
      optimizer: 'adamw',
      measure: 'score',
      budget: 4,
      result: { search: [], learningRate: 0.01, trials: [trial] },
    };
  };
  const { rows } = attackTable(['fine-tune', 'lora', 'dora', 'norms-biases'].map(row), {
    target: 0.95,
    metric: 'accuracy',
  });
  expect(rows.map(({ attack }) => attack)).toEqual([
    'AdamW',
    'LoRA, AdamW',
    'DoRA, AdamW',
    'fine-tuning of norms and biases, AdamW',
  ]);
});
