import { expect, it } from 'vitest';
import { specdef } from '../locks/index.js';
import { parseOptions } from '../registry/index.js';
import { raiseWarning } from './utility.js';

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
