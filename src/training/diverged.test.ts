import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../registry/index.js';
import { adamw, DivergedError, type Optimizer, psgdXmat, type RunOptions, runSteps, sgd } from './index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-diverged-'));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

/** Nine steps on two parameters with a gradient of 1, and what is different at the fourth. */
function run({
  at = {},
  optimizer = sgd(),
  ...more
}: { at?: { loss?: number; gradient?: number }; optimizer?: Optimizer } & Partial<RunOptions> = {}) {
  const params = new Map([
    ['first', Float32Array.of(1, 2, 3, 4, 5)],
    ['second', Float32Array.of(6, 7, 8)],
  ]);
  const steps: number[] = [];
  const result = runSteps({
    params,
    compute: async (current, step) => {
      const { loss = 2.5, gradient = 1 } = step === 3 ? at : {};
      const gradients = new Map(Array.from(current, ([name, { length }]) => [name, new Float32Array(length).fill(1)]));
      (gradients.get('second') as Float32Array)[1] = gradient;
      return { loss, gradients };
    },
    optimizer,
    learningRate: 0.25,
    steps: 9,
    afterStep: ({ step }) => void steps.push(step),
    ...more,
  });
  return { params, steps, result };
}

async function failure(running: Promise<unknown>): Promise<DivergedError> {
  const error = await running.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DivergedError);
  return error as DivergedError;
}

describe('a run that diverges', () => {
  it.each<[{ loss?: number; gradient?: number }, string, number?]>([
    [{ loss: Number.NaN }, 'the loss is NaN, 2.50 the step before'],
    [{ loss: Number.POSITIVE_INFINITY }, 'the loss is Infinity, 2.50 the step before'],
    [{ gradient: Number.NaN }, 'weights of second are NaN after a loss of 2.50'],
    [{ gradient: Number.NEGATIVE_INFINITY }, 'weights of second are Infinity after a loss of 2.50'],
    // A step of 1e38 · 4 is beyond the largest float32.
    [{ gradient: -1e38 }, 'weights of second are Infinity after a loss of 2.50', 4],
  ])('says at which step and loss: %o', async (at, what, learningRate = 0.25) => {
    const { steps, result } = run({ at, learningRate });
    const error = await failure(result);
    expect(error.message).toBe(
      `diverged at step 4 of 9: ${what}, with learning rate ${learningRate}; try a smaller one`,
    );
    expect([error.step, error.loss]).toEqual([4, at.loss ?? 2.5]);
    expect(error).toBeInstanceOf(InputError);
    expect(error.exitCode).toBe(2);
    expect(steps).toEqual([1, 2, 3]);
  });

  it('names a number of the optimizer', async () => {
    const optimizer: Optimizer = {
      name: 'broken',
      init: () => ({ step: 0, slots: {}, scalars: { scale: 1 } }),
      update: (_, state) => {
        state.step++;
        if (state.step === 4) state.scalars = { scale: Number.NaN };
      },
    };
    expect((await failure(run({ optimizer }).result)).message).toContain(
      "the optimizer's scale is NaN after a loss of 2.50",
    );
  });

  it('leaves the checkpoint as it was, so that the run can be looked at and ends alike when it is run again', async () => {
    const checkpoint = { path: join(root, 'kept.safetensors'), every: 1 };
    const first = await failure(run({ at: { gradient: Number.NaN }, optimizer: adamw(), checkpoint }).result);
    const kept = await readFile(checkpoint.path);
    const again = run({ at: { gradient: Number.NaN }, optimizer: adamw(), checkpoint });
    expect((await failure(again.result)).message).toBe(first.message);
    expect(await readFile(checkpoint.path)).toEqual(kept);
    // The last checkpoint is of step 3: what is well goes on from there.
    expect(await run({ optimizer: adamw(), checkpoint }).result).toMatchObject({ resumedFrom: 3, steps: 9 });
  });

  it('ends as stopped where the caller takes it up, with the weights that it put back', async () => {
    const checkpoint = { path: join(root, 'stopped.safetensors'), every: 100 };
    const heard: unknown[] = [];
    const diverging: ReturnType<typeof run> = run({
      at: { gradient: Number.NaN },
      optimizer: psgdXmat({ criterion: 'whitening' }),
      checkpoint,
      onDiverged: (error, { step, evaluations }) => {
        heard.push(error.step, step, evaluations);
        for (const values of diverging.params.values()) values.fill(7);
        return 'stop';
      },
    });
    expect(await diverging.result).toEqual({ steps: 4, reason: 'stopped', resumedFrom: 0 });
    expect(heard).toEqual([4, 4, 1]);
    const again = run({ optimizer: psgdXmat({ criterion: 'whitening' }), checkpoint });
    expect(await again.result).toEqual({ steps: 4, reason: 'stopped', resumedFrom: 4 });
    expect([...again.params.values()].map(([value]) => value)).toEqual([7, 7]);
  });

  it('fails where the caller says stop and leaves weights that no checkpoint may hold', async () => {
    const checkpoint = { path: join(root, 'none.safetensors'), every: 100 };
    const { result } = run({ at: { gradient: Number.NaN }, checkpoint, onDiverged: () => 'stop' });
    await failure(result);
    await expect(readFile(checkpoint.path)).rejects.toThrow('ENOENT');
  });
});
