import { expect, it } from 'vitest';
import { specdef } from '../locks/index.js';
import { parseOptions } from '../registry/index.js';
import type { Evaluation } from '../tasks/index.js';
import { raiseWarning, utilityWarnings } from './utility.js';

const rose = (name: string, before: number, after: number) => ({ name, before: [before, 1], after: [after, 1] });

it('says where a lock raised the largest singular value of few matrices, and of which most', () => {
  const spectra = [rose('embed.weight', 510, 626), rose('a', 25, 25.1), rose('b', 30, 29.9), rose('c', 3, 3)];
  expect(raiseWarning(spectra)).toMatch(
    /^σ1 rose by a tenth or more in 1 of 4 matrices \(most in embed\.weight, from 510 to 626\): the others are hardly locked\./,
  );
  expect(raiseWarning([...spectra.slice(0, 2), rose('b', 30, 60)])).toBeUndefined();
  expect(raiseWarning([])).toBeUndefined();
});

it('asks it of locks that push on singular values, and not of their control', () => {
  const options = parseOptions(specdef.options, {}, 'specdef');
  expect(specdef.reveals(options).raised).toMatchObject({ topK: options.topK });
  expect(specdef.reveals(specdef.sham(options)).raised).toBeUndefined();
});

const evaluation = (n: number, metrics: Evaluation['metrics']): Evaluation => ({
  n,
  metrics: { ece: 0, notFinite: 0, ...metrics },
});
const allTypes = (found: Evaluation) => ({ float32: found, float16: found, bfloat16: found });
/** A classifier's test examples before and after a lock that was allowed a point on 400 others. */
const warned = (n: number, after: { accuracy: number; agreement: number }, task = 'classification') =>
  utilityWarnings(
    { steps: 10, before: evaluation(400, { accuracy: 0.8 }), budget: { floor: 0.79, maxKl: null, patience: 1 } },
    {
      ...{ task, guessing: 0.5 },
      before: allTypes(evaluation(n, { accuracy: 0.8, agreement: 1, kl: 0 })),
      after: allTypes(evaluation(n, { ...after, kl: 0.1 })),
    },
  );

it('says of a lock that changed nothing by how much its nearest check missed the budget', () => {
  const same = allTypes(evaluation(2000, { accuracy: 0.8, agreement: 1, kl: 0 }));
  const warnings = (maxKl: number | null, nearest?: Evaluation) =>
    utilityWarnings(
      {
        ...{ steps: 0, before: evaluation(400, { accuracy: 0.8 }), budget: { floor: 0.79, maxKl, patience: 1 } },
        ...(nearest && { nearest: { step: 30, evaluation: nearest } }),
      },
      { ...{ task: 'classification', guessing: 0.5 }, before: same, after: same },
    );
  const nothing =
    'The lock changed nothing: no check of its utility was within the budget. This is the unlocked model.';
  const missed = evaluation(400, { accuracy: 0.7775, kl: 0.15 });
  expect(warnings(0.2)).toEqual([nothing]);
  expect(warnings(0.1, missed)).toEqual([
    `${nothing} The nearest, after step 30, had 77.8 % accuracy and 0.150 KL to the original on the 400 validation examples, where at least 79.0 % and at most 0.1 was asked for.`,
  ]);
  expect(warnings(null, missed)[0]).toMatch(/where at least 79\.0 % was asked for\.$/);
});

it('says where the test examples lost more than a lock was allowed, and where they are too few to tell', () => {
  // 400 answers changed, 60 more of them to wrong ones than to right ones: 230 and 170 (Agresti and Min by hand).
  expect(warned(2000, { accuracy: 0.77, agreement: 0.8 })).toEqual([
    'The test examples lost 3.0 points of accuracy (1.0 to 5.0, n = 2000); the lock was allowed 1.0 points on its 400 validation examples.',
  ]);
  expect(warned(400, { accuracy: 0.795, agreement: 0.95 })).toEqual([
    'The test examples are too few to tell whether the lock cost more than it was allowed, 1.0 points of accuracy on its 400 validation examples: they lost 0.5 points (−1.7 to 2.7, n = 400).',
  ]);
  // What hardly an answer of is another.
  expect(warned(2000, { accuracy: 0.799, agreement: 0.995 })).toEqual([]);
  // Answers that are no examples of their own have no such interval.
  expect(warned(400, { accuracy: 0.795, agreement: 0.95 }, 'causal-lm')).toEqual([]);
});
