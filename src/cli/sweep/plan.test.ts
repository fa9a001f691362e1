import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readPlan } from './plan.js';

it('the example is a plan', async () => {
  const { models, locks, attacks } = await readPlan('examples/sweep.yaml');
  expect(models.map(({ name }) => name)).toEqual(['cnn']);
  expect(locks.map(({ method, seeds, sham }) => ({ method, seeds, sham }))).toEqual([
    { method: ['specdef'], seeds: [1, 2, 3], sham: true },
    { method: ['specdef'], seeds: [1], sham: undefined },
  ]);
  // What is left out has the defaults of `weightlock lock` and `weightlock attack`.
  expect(locks[1]).toMatchObject({ specdef: { alpha: 0.5, steps: 500, topK: expect.any(Number) } });
  expect(attacks[0]).toMatchObject({
    suite: 'quick',
    optimizers: ['adamw', 'adadelta'],
    target: 0.95,
    knowsLock: true,
  });
});

/** What reading a plan of one model, these locks and these attacks says. */
async function complaint(parts: { models?: object[]; locks?: object[]; attacks?: object[] }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weightlock-plan-'));
  const path = join(folder, 'plan.yaml');
  const plan = { models: [{ name: 'm', unlocked: 'm' }], locks: [lock], attacks: [{ name: 'a' }], ...parts };
  await writeFile(path, JSON.stringify(plan));
  try {
    await readPlan(path);
    return '';
  } catch (error) {
    return String(error).replace(path, 'plan.yaml');
  } finally {
    await rm(folder, { recursive: true });
  }
}

const lock = { name: 'l', method: 'specdef' };

it('counts no run twice: seeds of locks, searches and attacks are given once each', async () => {
  expect(await complaint({ attacks: [{ name: 'a', seeds: [1, 2] }] })).toBe('');
  const said = 'expected each seed once';
  expect(await complaint({ attacks: [{ name: 'a', seeds: [1, 1] }] })).toBe(
    `InputError: plan.yaml: attacks.0.seeds: ${said}`,
  );
  expect(await complaint({ attacks: [{ name: 'a', searchSeeds: [9, 9] }] })).toContain(`searchSeeds: ${said}`);
  expect(await complaint({ locks: [{ ...lock, seeds: [1, 1] }] })).toContain(`locks.0.seeds: ${said}`);
});

it('says what was expected, what came and where', async () => {
  expect(await complaint({ models: [] })).toContain('plan.yaml: models: expected a list of at least 1 item, got []');
  expect(await complaint({ attacks: [{ name: 'a', costSteps: 'x' }] })).toContain(
    'attacks.0.costSteps: expected a number, got "x"',
  );
  expect(await complaint({ locks: [{ ...lock, seed: [1] }] })).toMatch(
    /locks\.0: unknown key "seed", expected only name, method, seeds, .*; did you mean seeds\?/,
  );
});
