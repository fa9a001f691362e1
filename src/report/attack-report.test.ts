import { expect, it } from 'vitest';
import type { AttackRow } from '../attacks/index.js';
import type { AttackOptions } from '../experiments/index.js';
import { attackCurves, attackSections } from './attack-report.js';

function row(kind: string, trained: string, use: string): AttackRow {
  const trials = [1, 2].map((seed) => ({ seed, curve: [{ step: 4, score: 0.5 }] }));
  return {
    start: 'locked',
    kind,
    use,
    trains: true,
    plain: kind === 'fine-tune',
    countsAs: 'locked',
    composition: { transforms: [], trained: { name: trained } },
    optimizer: 'adamw',
    measure: 'cost',
    budget: 8,
    result: { search: [], learningRate: 1, trials },
  } as unknown as AttackRow;
}

it('draws a line for each attack, not the mean of those with one start and optimizer', () => {
  const rows = [
    row('fine-tune', 'all', 'fine-tuning'),
    row('lora', 'lora', 'LoRA'),
    row('small-lora', 'lora', 'LoRA'),
    row('top-layers', 'top-layers', 'fine-tuning of the top layers'),
  ];
  const curves = attackCurves(rows, 'cost');
  expect(curves).toHaveLength(8);
  expect([...new Set(curves.map(({ start }) => start))]).toEqual([
    'locked',
    'locked, LoRA (lora)',
    'locked, LoRA (small-lora)',
    'locked, fine-tuning of the top layers',
  ]);
});

it('draws what the unlocked model is attacked with, as what the locked one is', () => {
  const own = row('reset', 'all', 'reset');
  const rows = ['unlocked', 'locked'].map((start) => ({ ...own, start, countsAs: start }) as AttackRow);
  expect(new Set(attackCurves(rows, 'cost').map(({ start }) => start)).size).toBe(2);
});

it.each([
  ['texts', '20 texts: how far each starting point comes'],
  [undefined, '20 labelled examples of each class: how far each starting point comes'],
])('calls examples what they are: %s', async (drawnBy, heading) => {
  const own = row('fine-tune', 'all', 'fine-tuning');
  const rows = [own, { ...own, measure: 'score' as const }];
  const options = { target: 0.9, perClass: 20, costSteps: 8, scoreSteps: 8 } as AttackOptions;
  const sections = await attackSections({ rows, metric: 'next-token accuracy', drawnBy }, options);
  expect(sections.map((section) => section.heading)).toEqual([
    'All training examples: how fast each starting point learns',
    heading,
  ]);
});

it('draws runs once that cost and score are of, and says whose examples all are', async () => {
  const own = row('fine-tune', 'all', 'fine-tuning');
  const rows = [own, { ...own, measure: 'score' as const }];
  const budget = { target: 0.9, perClass: 0, costSteps: 8, scoreSteps: 8, costBatchSize: 4 };
  const headings = async (scoreBatchSize: number) => {
    const options = { ...budget, scoreBatchSize } as AttackOptions;
    return (await attackSections({ rows, metric: 'accuracy' }, options)).map((section) => section.heading);
  };
  expect(await headings(4)).toEqual(['All training examples: how fast and how far each starting point learns']);
  expect(await headings(8)).toEqual([
    'All training examples: how fast each starting point learns',
    'All training examples: how far each starting point comes',
  ]);
});
