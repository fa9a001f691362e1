import { describe, expect, it } from 'vitest';
import { dataSpec } from '../../data/index.js';
import { parseOptions } from '../../registry/index.js';
import { optimizers } from '../../training/index.js';
import { attackOptions, attackPlan } from './attack-options.js';

const planned = (options: unknown) => {
  const { budgets } = attackPlan(dataSpec.parse({}), parseOptions(attackOptions, options, 'attack'));
  return budgets[0].setting.optimizers;
};

describe('the optimizers of an attack', () => {
  it('are AdamW, SGD with momentum 0.9 and Adadelta with six decades each, unless others are named', () => {
    const schedule = {
      name: 'constant',
      options: { warmupSteps: 0, warmupStart: 0, initialFactor: 1, initialSteps: 0 },
    };
    expect(planned({})).toEqual([
      {
        name: 'adamw',
        options: { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0.01, amsgrad: false },
        schedule,
        decades: [-3, -2, -4, -1, -5, 0],
      },
      {
        name: 'sgd',
        options: { momentum: 0.9, dampening: 0, nesterov: false, weightDecay: 0 },
        schedule,
        decades: [-2, -3, -1, -4, 0, -5],
      },
      {
        name: 'adadelta',
        options: { rho: 0.9, eps: 1e-6, weightDecay: 0 },
        schedule,
        decades: [0, 1, -1, -2, -3, -4],
      },
    ]);
  });

  it.each(optimizers.entries())('can be $name, with options', ({ name, search }) => {
    const [first, second] = planned({
      optimizers: [name, name === 'sgd' ? 'adam' : 'sgd'],
      clipNorm: 1,
      schedule: 'linear',
      linear: { warmupSteps: 4 },
    });
    expect(first).toMatchObject({ name, decades: search.decades, clipNorm: 1 });
    expect(first.schedule).toEqual({ name: 'linear', options: { warmupSteps: 4, warmupStart: 0, endFactor: 0 } });
    expect(second.clipNorm).toBe(1);
  });

  it('refuses options of an optimizer that is not tried', () => {
    expect(() => planned({ optimizers: ['adamw'], sgd: { momentum: 0 } })).toThrow(
      'attack.sgd: expected options of adamw alone, the chosen optimizers',
    );
  });
});
