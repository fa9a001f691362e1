import { describe, expect, it } from 'vitest';
import { exactSingularValues } from '../linalg/index.js';
import { type LockMethod, lockMethods, specdef, stagedLock } from '../locks/index.js';
import { initializeModel } from '../models/index.js';
import { parseOptions } from '../registry/index.js';
import { clipPartly, clipRaised, partialClipOptions, raisedOptions, subtractOptions, subtractTop } from './index.js';
import { knownOptions } from './learned.js';

const { weights } = initializeModel('cnn', { num_labels: 3, channels: [6, 12], hidden_sizes: [24, 20, 16] }, 1);

/** What an attacker makes of a lock's options. */
function known(name: string, options: object) {
  const method = name.includes(',')
    ? (stagedLock(name.split(',').map((each) => lockMethods.get(each))) as LockMethod)
    : lockMethods.get(name);
  return knownOptions(method.reveals?.(parseOptions(method.options, options, name)) ?? {});
}

/** By the names of the matrices, how many of their largest singular values are the same. */
function level(changed: ReturnType<typeof clipRaised>): Record<string, number> {
  return Object.fromEntries(
    [...changed].flatMap(([name, { shape, data }]) => {
      if (shape.length < 2 || String(data) === String(weights.get(name)?.data)) return [];
      const sigma = [...exactSingularValues(data, shape[0], data.length / shape[0])];
      return [[name, sigma.filter((value) => Math.abs(value / sigma[0] - 1) < 1e-4).length]];
    }),
  );
}

describe('what an attacker knows', () => {
  it('is which matrices were raised: he cuts no other', () => {
    const options = { topK: 2, include: ['fc*'], exclude: ['fc2*', 'fc4*'] };
    const { clip, subtract, 'clip-partly': partly, 'beside-top': beside } = known('specdef', options);
    // Two raised ones, and the one below them.
    const cut = { 'fc1.weight': 3, 'fc3.weight': 3 };
    expect(level(clipRaised(weights, raisedOptions.parse(clip)))).toEqual(cut);
    expect(level(clipPartly(weights, { ...partialClipOptions.parse(partly), share: 1 }))).toEqual(cut);
    const without = subtractTop(weights, subtractOptions.parse(subtract));
    expect(Object.keys(level(without))).toEqual(Object.keys(cut));
    expect(beside).toEqual({ ...options });
  });

  it('is how many were raised of leading matrices, and that there are none', () => {
    const leading = known('specdef', { topK: 2, lead: { share: 0.5, topK: 5, include: ['conv2*'] } });
    expect(level(clipRaised(weights, raisedOptions.parse(leading.clip)))).toMatchObject({
      'conv1.weight': 3,
      'conv2.weight': 6,
    });
    expect(leading['beside-top']).toMatchObject({ topK: 2, lead: { topK: 5, include: ['conv2*'] } });
    // Without a leading stage, and of a method that has none, convolutions are as other matrices.
    for (const [name, options] of [
      ['specdef', { topK: 2 }],
      ['spectral-closed', { topK: 2 }],
    ] as const) {
      const { clip, preconditioned } = known(name, options);
      expect(new Set(Object.values(level(clipRaised(weights, raisedOptions.parse(clip)))))).toEqual(new Set([3]));
      expect(preconditioned).toEqual({ topK: 2, include: ['*'], power: 0.5 });
    }
    expect(known('spectral-closed', { topK: 3, include: ['conv*'] }).clip).toMatchObject({ include: ['conv*'] });
  });

  it('is of several stages what any of them may have raised', () => {
    const one = { topK: 2, include: ['fc*'], exclude: ['fc1*'] };
    const both = known('specdef,spectral-closed', { specdef: one, 'spectral-closed': { topK: 3, include: ['conv*'] } });
    expect(both.clip).toEqual({ topK: 3, include: ['fc*', 'conv*'], lead: { topK: 3, include: [] } });
    const led = { ...one, lead: { share: 0.1, topK: 6 } };
    expect(known('specdef,specdef-moved', { specdef: led, 'specdef-moved': one }).clip).toEqual({
      ...one,
      lead: { topK: 6, include: ['*conv*'] },
    });
    // A stage that raises nothing says nothing.
    expect(known('erase,specdef', { erase: {}, specdef: one })).toEqual(known('specdef', one));
  });

  it('takes nothing from him: of a lock that raises nothing, and of the control, he knows nothing', () => {
    expect(known('erase', {})).toEqual({});
    expect(knownOptions(specdef.reveals(specdef.sham(specdef.options.parse({}))))).toEqual({});
  });
});
