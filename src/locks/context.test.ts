import { describe, expect, it, vi } from 'vitest';
import { loadDigits, selectClasses, subset } from '../data/index.js';
import { initializeModel, parameterSet } from '../models/index.js';
import { InputError } from '../registry/index.js';
import { Evaluator } from '../training/index.js';
import { lockContext } from './context.js';

const engine = { threads: 1 };
const model = initializeModel('mlp', { num_labels: 2, hidden_sizes: [4, 3] }, 1);
const examples = async () => {
  const digits = selectClasses(await loadDigits(), [0, 1]);
  return subset(
    digits,
    Uint32Array.from({ length: 40 }, (_, index) => index),
  );
};

describe('the context of a lock', () => {
  it('offers data that are loaded when they are asked for, and once', async () => {
    const [train, validation] = [vi.fn(examples), vi.fn(examples)];
    const context = lockContext(
      { model, data: { train, validation, adversary: await examples() }, seed: 1 },
      { engine },
    );
    expect(train).not.toHaveBeenCalled();
    expect(await context.train()).toBe(await context.train());
    expect(train).toHaveBeenCalledTimes(1);
    expect(validation).not.toHaveBeenCalled();
    await context.utility();
    await context.utility();
    expect(validation).toHaveBeenCalledTimes(1);
    expect((await context.adversary())?.size).toBe(40);
    await context.release();
  });

  it('refuses data that were not given, in words of what is missing', async () => {
    const context = lockContext({ model, data: {}, seed: 1 });
    await expect(context.train()).rejects.toThrow(InputError);
    await expect(context.train()).rejects.toThrow(
      'lock: expected training examples of the authorized task, got none; give --data.name or --data.path',
    );
    await expect(context.utility()).rejects.toThrow('expected validation examples of the authorized task');
    expect(await context.adversary()).toBeUndefined();
  });

  it('measures the utility of the weights as they are now, beside those of the first call', async () => {
    const weights = initializeModel('mlp', { num_labels: 2, hidden_sizes: [4, 3] }, 1).weights;
    const validation = await examples();
    const context = lockContext({ model: { ...model, weights }, data: { validation }, seed: 1 }, { engine });
    const meter = await context.utility();
    expect(meter.before).toMatchObject({ n: 40, metrics: { agreement: 1, kl: 0 } });
    expect(context.weights).toBe(weights);
    weights.get('fc3.bias')?.data.set([5, -5]);
    const after = await meter.measure();
    expect(after.metrics.kl).toBeGreaterThan(0.1);
    const evaluator = new Evaluator(model, engine);
    expect((await evaluator.evaluate(parameterSet(weights), validation)).metrics.accuracy).toBe(after.metrics.accuracy);
    await evaluator.release();
    const guard = context.guard({ floor: 0, maxKl: 0.01, patience: 1 }, meter.before);
    expect(guard.check(1, after)).toBe('stop');
    expect(guard.check(2, meter.before)).toBeUndefined();
    await context.release();
  });
});
