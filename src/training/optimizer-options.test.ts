import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { InputError, parseOptions } from '../registry/index.js';
import {
  chosenOptimizer,
  createOptimizer,
  type OptimizerSpec,
  optimizerOptions,
  optimizers,
  type ParameterSet,
  type ParameterShapes,
  searchedOptimizerOptions,
  withOptimizers,
} from './index.js';

const one = withOptimizers(z.strictObject(optimizerOptions({ optimizer: 'adamw' })));
const several = withOptimizers(z.strictObject(searchedOptimizerOptions(['adamw', 'sgd'])));
const parse = (options: unknown) => parseOptions(one, options, 'train');
const off = { clipNorm: 0, decay: 'all', rateFactors: [] };

describe('optimizerOptions', () => {
  it('holds the options of the chosen optimizer alone, with their defaults', () => {
    const adamw = { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0.01, amsgrad: false };
    expect(parse({})).toEqual({ optimizer: 'adamw', adamw, ...off });
    const sgd = { momentum: 0.9, dampening: 0, nesterov: false, weightDecay: 0 };
    expect(parse({ optimizer: 'sgd', sgd: { momentum: 0.9 } })).toEqual({ optimizer: 'sgd', sgd, ...off });
    expect(chosenOptimizer(parse({ optimizer: 'sgd', sgd: { momentum: 0.9 } }))).toEqual({ name: 'sgd', options: sgd });
  });

  it.each(optimizers.entries())('gives $name what its schema gives', (entry) => {
    const { name, options } = chosenOptimizer(parse({ optimizer: entry.name }));
    expect([name, options]).toEqual([entry.name, entry.options.parse({})]);
  });

  it('passes on what holds for any optimizer', () => {
    const given = { clipNorm: 1, decay: 'matrices', rateFactors: ['fc*=0.1'] };
    expect(chosenOptimizer(parse(given))).toMatchObject({ name: 'adamw', ...given });
  });

  it.each<[unknown, string]>([
    [{ sgd: { momentum: 0.9 } }, 'train.sgd: expected options of adamw alone, the chosen optimizer'],
    [{ optimizer: 'sgd', sgd: { nesterov: true } }, 'train.sgd.nesterov: expected momentum above 0'],
    [
      { optimizer: 'sgd', decay: 'matrices' },
      'train.decay: expected an optimizer whose weightDecay is above 0 (chosen: sgd)',
    ],
    [{ optimizer: 'lbfgs', decay: 'matrices' }, 'train.decay: expected an optimizer whose weightDecay is above 0'],
    [
      { optimizer: 'sophia', sophia: { weightDecay: 0.1 }, decay: 'matrices' },
      'train.decay: expected an optimizer that moves each parameter by itself (chosen: sophia)',
    ],
    [
      { optimizer: 'lbfgs', rateFactors: ['*=2'] },
      'train.rateFactors: expected optimizers that move each parameter by itself, not lbfgs',
    ],
    [{ rateFactors: ['fc'] }, 'train.rateFactors.0: '],
    [{ rateFactors: ['fc=-1'] }, 'train.rateFactors.0: '],
    [{ clipNorm: -1 }, 'train.clipNorm: '],
  ])('refuses %j', (options, message) => {
    expect(() => parse(options)).toThrow(InputError);
    expect(() => parse(options)).toThrow(message);
  });
});

describe('searchedOptimizerOptions', () => {
  it('takes the defaults that an entry has for searches, and no others', () => {
    const parsed = parseOptions(several, {}, 'attack');
    expect(chosenOptimizer(parsed, 'sgd').options).toEqual({
      ...optimizers.get('sgd').options.parse({}),
      momentum: 0.9,
    });
    expect(chosenOptimizer(parsed, 'adamw').options).toEqual(optimizers.get('adamw').options.parse({}));
    const given = parseOptions(several, { optimizers: ['lbfgs'], lbfgs: { historySize: 7 } }, 'attack');
    expect(chosenOptimizer(given, 'lbfgs').options).toMatchObject({ historySize: 7, lineSearch: 'strong-wolfe' });
  });

  it('keeps the rules of an optimizer', () => {
    const parsed = parseOptions(several, { sgd: { nesterov: true } }, 'attack');
    expect(chosenOptimizer(parsed, 'sgd').options).toMatchObject({ nesterov: true, momentum: 0.9 });
    const refused = () => parseOptions(several, { sgd: { nesterov: true, momentum: 0 } }, 'attack');
    expect(refused).toThrow('attack.sgd.nesterov: expected momentum above 0');
  });

  it('lets some of several optimizers have no decay, and refuses one twice', () => {
    const parsed = parseOptions(several, { decay: 'matrices' }, 'attack');
    expect(chosenOptimizer(parsed, 'adamw').decay).toBe('matrices');
    expect(chosenOptimizer(parsed, 'sgd').decay).toBeUndefined();
    expect(() => parseOptions(several, { optimizers: ['sgd'], decay: 'matrices' }, 'attack')).toThrow('attack.decay');
    expect(() => parseOptions(several, { optimizers: ['sgd', 'sgd'] }, 'attack')).toThrow(
      'expected each optimizer once',
    );
  });

  it.each(optimizers.entries())(
    'has six different decades for $name, and options that it takes',
    ({ search, create }) => {
      expect(new Set(search.decades).size).toBe(6);
      expect(() => create(search.options)).not.toThrow();
    },
  );
});

describe('createOptimizer', () => {
  const shapes: ParameterShapes = new Map([
    ['conv.weight', [1, 2]],
    ['conv.bias', [2]],
  ]);
  const start = (): ParameterSet =>
    new Map([
      ['conv.weight', Float32Array.of(1, -1)],
      ['conv.bias', Float32Array.of(1, -1)],
    ]);

  it('is the optimizer of the registry where nothing else is asked for', async () => {
    expect(createOptimizer({ name: 'adamw' }).needs).toEqual(optimizers.get('adamw').create().needs);
    const moved = start();
    const plain = start();
    const grads = new Map([['conv.bias', Float32Array.of(0.5, 2)]]);
    for (const [params, optimizer] of [
      [moved, createOptimizer({ name: 'adam', options: { eps: 1 } })],
      [plain, optimizers.get('adam').create({ eps: 1 })],
    ] as const) {
      await optimizer.update(grads, optimizer.init(params), params, 0.1);
    }
    expect(moved).toEqual(plain);
    expect(moved).not.toEqual(start());
  });

  it('refuses what it cannot do', async () => {
    const make = (spec: OptimizerSpec, of?: ParameterShapes) => () => createOptimizer(spec, of);
    expect(make({ name: 'adamw', decay: 'matrices' })).toThrow('adamw: expected shapes of the parameters');
    expect(make({ name: 'adam', decay: 'matrices' }, shapes)).toThrow('decay: expected an optimizer whose weightDecay');
    expect(make({ name: 'lbfgs', rateFactors: ['*=2'] }, shapes)).toThrow('rateFactors: expected an optimizer');
    expect(make({ name: 'adam', rateFactors: ['fc*=2'] }, shapes)).toThrow(
      'rateFactors: expected parameters that fit fc*, found none',
    );
    const optimizer = createOptimizer({ name: 'adamw', decay: 'matrices' }, shapes);
    const params = new Map([...start(), ['fc.weight', new Float32Array(1)]]);
    const grads = new Map([['fc.weight', new Float32Array(1)]]);
    const update = async () => optimizer.update(grads, optimizer.init(params), params, 0.1);
    await expect(update()).rejects.toThrow('gradient fc.weight: expected a parameter of one of the groups');
  });
});
