import { z } from 'zod';
import {
  type AttackRow,
  attacks,
  attacksOfSuite,
  learnedOptions,
  starts,
  type TransformOptions,
  transformWeights,
} from '../attacks/index.js';
import { type Dataset, dataSpec } from '../data/index.js';
import type { EngineOptions } from '../engine/index.js';
import { specDefOptions, specdef } from '../locks/index.js';
import { type Model, parameterSet } from '../models/index.js';
import { WeightlockError } from '../registry/index.js';
import { taskOf } from '../tasks/index.js';
import { Evaluator, withOptimizers } from '../training/index.js';
import { type AttackedModel, assessAttack } from './attacked.js';
import { attackOptions, attackOptionsWith } from './jobs/attack-options.js';
import { type AttackPlan, attackPlan } from './jobs/attack-plan.js';
import type { LockJobResult } from './jobs/lock.js';
import { trainOptions } from './jobs/train.js';
import { lockDraws, type MadeModel, type Runner, type RunSpec } from './run/index.js';
import type { UtilityChange } from './utility.js';

const { optimizers, adaptiveOptimizers, costSteps, seeds } = attackOptions.shape;

/** The attacks of the demo, cut to what two cores do in a minute and a half; what an attacker can know of the lock is no option. */
const demoAttackOptions = withOptimizers(
  z.strictObject({
    ...attackOptionsWith(({ learn }) => learn === undefined).shape,
    optimizers: optimizers.unwrap().default(['adamw', 'adadelta']).describe(String(optimizers.description)),
    adaptiveOptimizers: adaptiveOptimizers.unwrap().default(1).describe(String(adaptiveOptimizers.description)),
    costSteps: costSteps.unwrap().default(96).describe(String(costSteps.description)),
    seeds: seeds.unwrap().default([1, 2, 3, 4, 5]).describe(String(seeds.description)),
  }),
);

/** The lock of the demo: as long as a first look can wait for. */
const { steps } = specDefOptions.shape;
const demoLockOptions = withOptimizers(
  z.strictObject({
    ...specDefOptions.shape,
    steps: steps.unwrap().default(2000).describe(String(steps.description)),
  }),
);

/** Options of the demo. */
export const demoOptions = z.strictObject({
  seed: z.int().min(0).default(1).describe('seed of the split, the weights and all shuffles'),
  authorized: z.array(z.int().min(0).max(9)).min(2).default([0, 1, 2, 3, 4]).describe('digits of the authorized task'),
  unauthorized: z
    .array(z.int().min(0).max(9))
    .min(2)
    .default([5, 6, 7, 8, 9])
    .describe('digits of the unauthorized task'),
  train: trainOptions.prefault({}).describe('training of the model that is released'),
  specdef: demoLockOptions.prefault({}).describe('the lock'),
  locks: z
    .int()
    .min(1)
    .default(1)
    .describe('draws of the lock, which differ in their seed: each trial of an attack takes one by its own seed'),
  attack: demoAttackOptions.prefault({}).describe('the attacks; they know what the lock raised'),
});

/** Parsed {@link demoOptions}. */
export type DemoOptions = z.output<typeof demoOptions>;

/** What the demo found. */
export interface DemoResult extends AttackedModel {
  /** Utility on the authorized test examples before and after the lock. */
  readonly test: UtilityChange;
  /** The same of the sham lock; absent in results of before it was attacked too. */
  readonly sham?: UtilityChange;
  /** What the owner must know before publishing the locked model. */
  readonly warnings: readonly string[];
  /** Authorized score after the transforms of the attacks that draw nothing anew, by the attack's name. */
  readonly transformed: Readonly<Record<string, number>>;
  /** How the lock ended, and the singular values before and after; of several draws the first. */
  readonly lock: LockJobResult;
  /** The further draws of the lock; none where it was drawn once. */
  readonly draws?: readonly { readonly test: UtilityChange; readonly lock: LockJobResult }[];
  /** Examples of the unauthorized task: to train on, and that scores are measured on. */
  readonly unauthorized: { readonly train: number; readonly test: number };
}

/** Test images of an attack: every trial is measured on them many times, which takes longer than its steps. */
const attackTests = 500;

/** What the demo is computed with and on. */
export function demoSpec(options: DemoOptions, engine: EngineOptions, workers: number): RunSpec {
  const { seed, authorized, unauthorized } = options;
  const digits = (classes: number[], testLimit?: number) =>
    dataSpec.parse({ name: 'digits', classes, splitSeed: seed, testLimit });
  return {
    engine,
    workers,
    seed,
    model: { architecture: 'cnn', config: { num_labels: Math.max(authorized.length, unauthorized.length) } },
    data: { authorized: digits(authorized), unauthorized: digits(unauthorized, attackTests) },
  };
}

/**
 * The main job end to end: train a model, lock it, train on as long without the lock (the sham lock), attack all three. Interrupted at any point it goes on where it was.
 *
 * @param onFirst - Hears what plain fine-tuning with one optimizer found, before the rest is tried.
 */
export async function runDemo(
  options: DemoOptions,
  runner: Runner,
  onFirst?: (rows: readonly AttackRow[]) => void,
): Promise<DemoResult> {
  const [authorized, unauthorized] = [await runner.data('authorized'), await runner.data('unauthorized')];
  if (!authorized || !unauthorized) throw new WeightlockError('demo: expected data of both tasks');
  const training = { data: authorized, options: options.train };
  const unlocked = await runner.train({ name: 'unlocked', phase: 'train' }, training);
  const lock = { from: unlocked.model, data: authorized, method: specdef, options: options.specdef };
  const [locked, ...others] = await lockDraws(runner, { name: 'locked', phase: 'lock' }, lock, options.locks);
  const control = { ...lock, options: specdef.sham(options.specdef) };
  const ofSham = { name: 'sham-locked', phase: 'sham lock' };
  const [sham, ...shams] = await lockDraws(runner, ofSham, control, options.locks);

  const learned = learnedOptions(specdef.reveals(options.specdef));
  const judged = { ...authorized.spec, testLimit: attackTests };
  const plan = attackPlan(unauthorized.spec, options.attack, learned, { authorized: judged });
  const pathsOf = (made: readonly MadeModel[]) => made.map(({ path }) => path);
  const paths = {
    ...{ unlocked: unlocked.path, locked: locked.path, sham: sham.path },
    ...(others.length > 0 && { lockedDraws: pathsOf(others), shamDraws: pathsOf(shams) }),
  };
  // What anyone would try comes first, so that there is something to read soon; the whole plan finds it done.
  onFirst?.((await runner.attack(paths, { ...plainPart(plan), title: 'attack, plain' })).rows);
  const attacked = assessAttack(await runner.attack(paths, plan), taskOf(locked.model));

  const [first, ...draws] = [locked, ...others].map(({ info: { test, warnings, ...lock } }) => {
    if (!test) throw new WeightlockError('demo: expected a utility on test examples');
    return { test, warnings, lock };
  });
  const { engine } = runner.spec;
  return {
    ...attacked,
    ...first,
    ...(sham.info.test && { sham: sham.info.test }),
    ...(draws.length > 0 && { draws: draws.map(({ test, lock }) => ({ test, lock })) }),
    transformed: await transformedScores(locked.model, plan.transforms ?? {}, authorized.test, engine),
    unauthorized: { train: unauthorized.train.size, test: unauthorized.test.size },
  };
}

/** Plain fine-tuning with the first optimizer and the first budget, from every start. */
function plainPart({ budgets: [{ measures, setting }], ...plan }: AttackPlan): AttackPlan {
  const optimizers = setting.optimizers.slice(0, 1);
  const budgets = [{ measures, setting: { ...setting, optimizers } }];
  return { ...plan, budgets, plainFrom: starts.names() };
}

/** Score on a task of a model's weights after the transforms of each attack that draws nothing anew, by its name. */
async function transformedScores(
  model: Model,
  available: TransformOptions,
  dataset: Dataset,
  engine: EngineOptions,
): Promise<Record<string, number>> {
  const evaluator = new Evaluator(model, engine);
  const found: Record<string, number> = {};
  for (const name of attacksOfSuite('quick')) {
    const { transforms: steps } = attacks.get(name);
    if (steps.length === 0 || steps.some(({ name: step, isSeeded }) => available[step] === undefined || isSeeded))
      continue;
    const options = steps.map(({ name: step }) => ({ name: step, options: available[step] ?? {} }));
    const weights = await transformWeights(model, model.weights, options, () => model.weights)(0);
    found[name] =
      (await evaluator.evaluate(parameterSet(weights), dataset)).metrics[evaluator.task.roles.score] ?? Number.NaN;
  }
  await evaluator.release();
  return found;
}
