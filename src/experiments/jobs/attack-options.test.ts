import { describe, expect, it } from 'vitest';
import { dataSpec } from '../../data/index.js';
import { parseOptions } from '../../registry/index.js';
import { optimizers } from '../../training/index.js';
import { attackOptions, attackPlan, modelsOfPlan } from './attack-options.js';

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

describe('the attacks of a plan', () => {
  const plan = (options: object, learned = {}) =>
    attackPlan(dataSpec.parse({}), parseOptions(attackOptions, options, 'attack'), learned);

  it('are those that there always were, unless others are named', () => {
    const usual = plan({});
    expect(usual).not.toHaveProperty('attacks');
    expect(usual).not.toHaveProperty('trained');
    expect(Object.keys(usual.transforms ?? {})).toEqual(['clip', 'rescale', 'reset']);
    // What someone knows of a lock is of use to attacks that nobody named.
    const learned = { clip: { topK: 3 }, 'clip-partly': { topK: 3 }, subtract: { topK: 3 } };
    expect(plan({}, learned).transforms).toEqual({ ...usual.transforms, clip: { topK: 3 } });
    const named = plan({ attacks: ['clip-partly'] }, learned);
    expect(named.transforms).toMatchObject({ 'clip-partly': { topK: 3 } });
    expect(named.transforms).not.toHaveProperty('subtract');
  });

  it('have the options of their parts', () => {
    const found = plan({ attacks: ['lora', 'quantize', 'canonicalize'], lora: { rank: 8 }, quantize: { bits: 4 } });
    expect(found.attacks).toEqual(['lora', 'quantize', 'canonicalize']);
    expect(found.trained).toEqual({ lora: { rank: 8, alpha: 32 } });
    expect(found.transforms).toMatchObject({ quantize: { bits: 4, include: ['*'] }, canonicalize: {} });
    const mixed = plan({ attacks: ['interpolate'], interpolate: { parent: './base' } });
    expect(modelsOfPlan(mixed)).toEqual(['./base']);
    expect(modelsOfPlan(plan({}))).toEqual([]);
    expect(() => modelsOfPlan(plan({ attacks: ['interpolate'] }))).toThrow(/^interpolate\.parent: /);
  });

  it('are never left out in silence, nor are options that nothing uses', () => {
    expect(() => plan({ lora: { rank: 8 } })).toThrow(
      /^lora: expected attacks with lora among those that are tried, found fine-tune, rescale, /,
    );
    expect(() => plan({ attacks: ['dora'], lora: {} })).toThrow(/^lora: expected attacks with lora .* found dora$/);
    expect(() => plan({ attacks: ['clip-edge', 'lora'], adaptive: false })).toThrow(
      'attacks: expected adaptive attacks for clip-edge, found none',
    );
    expect(() => plan({ attacks: ['clip-reset'], reset: [] })).toThrow(
      'attacks: expected options of reset for clip-reset, found none',
    );
    expect(() => plan({ attacks: ['lora', 'lora'] })).toThrow('expected each attack once');
    expect(() => plan({ attacks: ['lorra'] })).toThrow(/^attack\.attacks\.0: /);
  });
});
