import { describe, expect, it } from 'vitest';
import { distance, doubled, doubleForward, drawn, drawnNames } from '../../../test/support/drawn-models.js';
import { exactSingularValues } from '../../linalg/index.js';
import { matrixShape } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { type MutableWeights, unitsOf } from '../../symmetries/index.js';
import { lockContext } from '../context.js';
import { lockMethods } from '../index.js';
import { drawsOf } from '../secret.js';
import { applyFactors, factorsOf, rebalanced, rebalanceOptions } from './rebalance.js';
import { raisesOf } from './spectral.js';
import { spectralOptions } from './spectral-options.js';

/** Singular values of a weight as a matrix. */
function sigma(weights: MutableWeights, name: string): Float64Array {
  const { shape, data } = weights.get(name) as { shape: readonly number[]; data: Float64Array };
  const { rows, columns } = matrixShape(shape) as { rows: number; columns: number };
  return exactSingularValues(data, rows, columns);
}

describe.each(drawnNames)('%s', (name) => {
  const model = drawn(name);

  it('spectral-closed raises the largest singular values by its factor, and no output moves', async () => {
    const options = spectralOptions.parse({ factor: 8, topK: 2 });
    const [before, locked] = [doubled(model.weights), doubled(model.weights)];
    const raises = raisesOf(model, model.weights, options);
    for (const raise of raises) raise.apply(locked);
    const raised = raises.flatMap((raise) => raise.raised.map((matrix) => ({ matrix, reach: raise.reach })));
    expect(raised.length).toBeGreaterThan(1);
    expect(new Set(raised.map(({ matrix }) => matrix)).size).toBe(raised.length);
    for (const { matrix, reach } of raised) {
      const old = sigma(before, matrix);
      const ratios = sigma(locked, matrix).map((value, i) => value / old[i]);
      const count = reach === 'top' ? 2 : ratios.length;
      for (const ratio of ratios.slice(0, count)) expect(Math.abs(ratio / 8 - 1), matrix).toBeLessThan(1e-5);
      for (const ratio of ratios.slice(count)) expect(ratio, matrix).toBeLessThan(8.0001);
    }
    const forward = await doubleForward(model);
    expect(distance(await forward.outputs(before), await forward.outputs(locked))).toBeLessThan(1e-11);
    await forward.release();
  });

  it('rebalance skews matrices by powers of two; no output moves, and the inverse gives the bits back', async () => {
    const options = rebalanceOptions.parse({ spread: 16 });
    const joints = rebalanced(model, model.weights, options);
    const [before, locked] = [doubled(model.weights), doubled(model.weights)];
    applyFactors(locked, joints, { ...options, draws: drawsOf(3) });
    const exponents = joints.flatMap((joint) =>
      [...factorsOf(joint, { ...options, draws: drawsOf(3) })].map(Math.log2),
    );
    expect([Math.min(...exponents), Math.max(...exponents)]).toEqual([-4, 4]);
    expect(exponents.every(Number.isInteger)).toBe(true);
    const matrices = [...locked].filter(([, { shape }]) => matrixShape(shape)).map(([key]) => key);
    const most = Math.max(...matrices.map((key) => sigma(locked, key)[0] / sigma(before, key)[0]));
    expect(most).toBeGreaterThan(4);
    const forward = await doubleForward(model);
    expect(distance(await forward.outputs(before), await forward.outputs(locked))).toBeLessThan(1e-12);
    await forward.release();
    applyFactors(locked, joints, { ...options, draws: drawsOf(3), isInverse: true });
    for (const [key, { data }] of locked) {
      // What is multiplied there is a sum: with a batch norm's epsilon, with the 1 of Gemma's gains.
      const isSum = key.endsWith('running_var') || name === 'gemma3_text';
      const values = before.get(key)?.data ?? new Float64Array();
      const worst = data.reduce((found, value, i) => Math.max(found, Math.abs(value - values[i])), 0);
      expect(worst, key).toBeLessThanOrEqual(isSum ? 1e-13 : 0);
    }
  });
});

describe('a symmetry lock', () => {
  it.each(['spectral-closed', 'rebalance'])(
    '%s without data says how far outputs move, by stored type',
    async (name) => {
      const model = drawn('vit');
      const method = lockMethods.get(name);
      const context = lockContext({ model, data: {}, seed: 1 }, { engine: { threads: 1 } });
      const { story, before } = await method.run(
        context,
        method.options.parse(name === 'rebalance' ? {} : { topK: 1 }),
      );
      await context.release();
      expect(before).toBeUndefined();
      const errors = story?.outputError as Record<string, { original: number; locked: number }>;
      expect(Object.keys(errors)).toEqual(['float32', 'float16', 'bfloat16']);
      expect(errors.float32.original).toBe(0);
      // Powers of two round nothing, in any type that holds them.
      if (name === 'rebalance')
        for (const type of ['float32', 'bfloat16']) expect(errors[type].locked).toBe(errors[type].original);
      else expect(errors.float32.locked).toBeGreaterThan(0);
      expect(errors.float32.locked).toBeLessThan(1e-4);
      expect(errors.bfloat16.locked).toBeGreaterThan(1e-4);
    },
  );

  it('says so where a type cannot hold what it made', async () => {
    const model = drawn('mlp');
    const context = lockContext({ model, data: {}, seed: 1, secret: 'one' }, { engine: { threads: 1 } });
    const rebalance = lockMethods.get('rebalance');
    const { story } = await rebalance.run(context, rebalance.options.parse({ spread: 4096 }));
    await context.release();
    expect(story?.outputError).toMatchObject({ float32: { locked: 0 }, float16: { locked: null } });
  });

  it('refuses a network that has nothing of it, or of which nothing is open', () => {
    const model = drawn('bert');
    for (const name of ['spectral-closed', 'rebalance']) {
      const { locks, options } = lockMethods.get(name);
      expect(() => locks(model.weights, options.parse({ include: ['pooler.*'] }), model)).toThrow(InputError);
      expect(() => locks(model.weights, options.parse({ include: ['pooler.*'] }), model)).toThrow(
        `${name}: expected a network that can be written otherwise`,
      );
      expect(options.safeParse({ factor: 3, spread: 3 }).success).toBe(false);
    }
  });

  it('leaves alone what it is told to', () => {
    const model = drawn('bert');
    const options = rebalanceOptions.parse({ exclude: ['*.query.*', '*.query.bias'] });
    const kinds = rebalanced(model, model.weights, options).map(({ kind }) => kind);
    expect(new Set(kinds)).toEqual(new Set(['values']));
    expect(unitsOf(rebalanced(model, model.weights, options)[0])).toHaveLength(16);
  });
});
