import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contextOn, type DigitModel, differing, digitModel } from '../../test/support/locked-digits.js';
import { cloneWeights, parameterSet } from '../models/index.js';
import { InterruptedError, parseOptions } from '../registry/index.js';
import { lockContext, lockMethods, stagedLock } from './index.js';
import type { LockMethod, LockStepReport } from './lock-method.js';

/** Options with which a lock of a small model is short and changes it. */
const short: Readonly<Record<string, Record<string, unknown>>> = {
  specdef: { steps: 12, batchSize: 32, evaluateEvery: 5, maxDrop: 1, maxKl: null },
  'specdef-moved': { steps: 12, batchSize: 32, evaluateEvery: 4, maxDrop: 1, maxKl: null },
  redistil: {
    ...{ a: 0.3, steps: 12, batchSize: 32, evaluateEvery: 4, maxDrop: 1, maxKl: null, settle: 0 },
    ...{ push: 0.1, barrier: { weight: 0.5 } },
  },
  trap: { steps: 12, batchSize: 32, evaluateEvery: 4, maxDrop: 1, maxKl: null, attacks: { steps: 4 } },
  repnoise: { steps: 12, batchSize: 16, evaluateEvery: 4, maxDrop: 1, maxKl: null },
  tar: { steps: 12, batchSize: 16, evaluateEvery: 4, maxDrop: 1, maxKl: null, attacks: { steps: 4, every: 2 } },
  immunize: { steps: 12, batchSize: 32, evaluateEvery: 4, maxDrop: 1, maxKl: null, termClipNorm: 1 },
  'spectral-closed': { maxDrop: 1, maxKl: null },
  rebalance: { maxDrop: 1, maxKl: null },
  // The bases of 784 inputs take seconds; what is erased from them is told beside the method.
  erase: { rank: 4, include: ['fc2*', 'fc3*'], steps: 12, batchSize: 32, evaluateEvery: 4, maxDrop: 1, maxKl: null },
};
// What makes another architecture does so of texts alone, and has these tests beside it.
const single = lockMethods.entries().filter(({ rebuilds }) => !rebuilds);
const named = (...names: string[]) => names.map((name) => lockMethods.get(name));
const stages = [named('redistil', 'specdef'), named('erase', 'redistil'), named('erase', 'erase')].map(
  (of) => stagedLock(of) as LockMethod,
);
const methods = [...single, ...stages].map((method) => ({ name: method.name, method }));

let folder: string;
let digits: DigitModel;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weightlock-methods-'));
  digits = await digitModel('mlp', { hidden_sizes: [24, 16] });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const optionsOf = (method: LockMethod) =>
  parseOptions(method.options, short[method.name] ?? optionsOfStages(method.name), method.name);
const optionsOfStages = (name: string) => Object.fromEntries(name.split(',').map((stage) => [stage, short[stage]]));

/** Runs a method on a copy of the model; gives the result, the weights and the steps that it told. */
async function run(method: LockMethod, more: Parameters<typeof contextOn>[1] = {}, options = optionsOf(method)) {
  const steps: number[] = [];
  const onStep = (report: LockStepReport) => {
    steps.push(report.step);
    more.onStep?.(report);
  };
  const context = contextOn(digits, { ...more, onStep });
  try {
    return { result: await method.run(context, options), params: context.params, steps };
  } finally {
    await context.release();
  }
}

describe.each(methods)('lock method $name', ({ name, method }) => {
  it('says what it is and what undoes it, and tells its steps', async () => {
    expect(['symmetry', 'off-manifold', 'removal']).toContain(method.class);
    expect(method.undoneBy).toMatch(/^[a-z]/);
    const { result, params, steps } = await run(method);
    const most = method.steps(optionsOf(method), digits.train.size);
    expect(steps).toEqual(Array.from({ length: most }, (_, index) => index + 1));
    expect(result.steps).toBe(most);
    expect(differing(params, parameterSet(digits.model.weights))).not.toEqual([]);
    // Plain data, which a file can hold.
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
    const locked = method.locks(digits.model.weights, optionsOf(method), digits.model);
    expect(differing(params, parameterSet(digits.model.weights))).toEqual(expect.arrayContaining(locked.slice(0, 1)));
  });

  it('ends with the same bits after it was stopped, and after it was killed', async () => {
    const whole = await run(method);
    for (const how of ['stopped', 'killed']) {
      const checkpoint = { path: join(folder, `${name} ${how}.safetensors`), every: 3 };
      const stop = new AbortController();
      const onStep = ({ step }: LockStepReport) => {
        if (step < 8) return;
        if (how === 'killed') throw new Error('killed');
        stop.abort();
      };
      const interrupted = run(method, { checkpoint, signal: stop.signal, onStep });
      // A lock of few steps is done before.
      if (whole.steps.length > 8) {
        if (how === 'killed') await expect(interrupted).rejects.toThrow('killed');
        else await expect(interrupted).rejects.toThrow(InterruptedError);
      } else await interrupted;
      const resumed = await run(method, { checkpoint });
      expect(resumed.result).toEqual(whole.result);
      expect(differing(resumed.params, whole.params)).toEqual([]);
      if (whole.steps.length > 8) expect(resumed.steps[0]).toBe(how === 'killed' ? 7 : 9);
    }
  });

  it('goes back to the weights before it where its utility never is within the budget', async () => {
    const tight = { utilityFloor: 1, maxKl: 1e-12 };
    const given = optionsOf(method) as Record<string, object>;
    const options = name.includes(',')
      ? Object.fromEntries(Object.entries(given).map(([stage, own]) => [stage, { ...own, ...tight }]))
      : { ...given, ...tight };
    const { result, params } = await run(method, {}, options);
    expect(result).toMatchObject({ steps: 0, stoppedByBudget: true });
    expect(result.after).toEqual(result.before);
    expect(differing(params, parameterSet(digits.model.weights))).toEqual([]);
  });
});

describe.each(methods.filter(({ method }) => method.sham))('control of $name', ({ name, method }) => {
  it('has all its steps, also where the lock may end early', async () => {
    const given = optionsOf(method) as Record<string, object>;
    // What a distillation has; stages have it under their names.
    const early = (own: object) => ('settle' in own ? { ...own, settle: 1 } : own);
    const options = name.includes(',')
      ? Object.fromEntries(Object.entries(given).map(([stage, own]) => [stage, early(own)]))
      : early(given);
    const sham = method.sham?.(options) as Record<string, unknown>;
    const { steps } = await run(method, {}, sham);
    expect(steps.length).toBe(method.steps(sham, digits.train.size));
  });
});

describe('stages', () => {
  const stagesOf = ({ story }: { story?: unknown }) =>
    (story as { stages: { steps: number; after: Record<string, number> }[] }).stages;

  it('tell what each left, also one that goes back to what the stage before it left', async () => {
    const method = stagedLock(named('redistil', 'specdef', 'rebalance'));
    const never = { utilityFloor: 1, maxKl: 1e-12 };
    const options = parseOptions(
      method.options as LockMethod['options'],
      { redistil: short.redistil, specdef: { ...short.specdef, ...never }, rebalance: { maxDrop: 1, maxKl: 1e-12 } },
      method.name,
    );
    const { result } = await run(method as LockMethod, {}, options);
    const [mixed, ...later] = stagesOf(result);
    expect(mixed.steps).toBe(12);
    expect(mixed.after.kl).toBeGreaterThan(1e-3);
    for (const { steps, after } of later) {
      expect(steps).toBe(0);
      expect(after).toEqual(mixed.after);
    }
    expect(result.before?.metrics.kl).toBe(0);
    expect(result.after?.metrics).toEqual(mixed.after);
    // The budget that these weights are within.
    expect(result.budget).toEqual((mixed as unknown as { budget: object }).budget);
  });

  it('of symmetry locks are judged where there are examples, and else end with the error of the outputs', async () => {
    const method = stagedLock(named('rebalance', 'spectral-closed')) as LockMethod;
    const { result } = await run(method);
    expect(result.after?.metrics.kl).toBeLessThan(1e-6);
    const { model } = digits;
    const weights = cloneWeights(model.weights);
    const context = lockContext({ model: { ...model, weights }, data: {}, seed: 1 }, { engine: { threads: 1 } });
    const { story, after } = await method.run(context, optionsOf(method));
    await context.release();
    expect(after).toBeUndefined();
    const error = (story as { outputError: Record<string, { original: number; locked: number }> }).outputError;
    expect(Object.keys(error)).toEqual(['float32', 'float16', 'bfloat16']);
    expect(error.float32.original).toBe(0);
    expect(error.float32.locked).toBeLessThan(1e-5);
    expect(error.float16.locked).toBeGreaterThan(0);
  });
});
