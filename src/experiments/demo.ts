import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import {
  type Advantage,
  type AttackRow,
  attackersAdvantage,
  attacks,
  learnedOptions,
  starts,
  type TransformOptions,
  transformWeights,
} from '../attacks/index.js';
import { type DataSpec, type Dataset, dataSpec, loadData } from '../data/index.js';
import type { EngineOptions } from '../engine/index.js';
import type { RunFolder } from '../evidence/index.js';
import { readJsonFile, writeFileAtomic } from '../formats/index.js';
import { specDefOptions, specdef } from '../locks/index.js';
import { initializeModel, loadModel, type Model, type ModelCard, parameterSet, saveModel } from '../models/index.js';
import { scoreTitle, taskOf } from '../tasks/index.js';
import { Evaluator } from '../training/index.js';
import { cardLock, cardMetrics, cardOfData } from './card-of-data.js';
import { attackJob } from './jobs/attack.js';
import { type AttackPlan, attackOptions, attackOptionsWith, attackPlan } from './jobs/attack-options.js';
import { type LockJobResult, lockJob } from './jobs/lock.js';
import { type JobContext, trainJob, trainOptions, trainSteps } from './jobs/train.js';
import type { PhaseProgress } from './progress.js';
import { type UtilityChange, utilityChange, utilityWarnings } from './utility.js';

const { optimizers, adaptiveOptimizers, costSteps } = attackOptions.shape;

/** The attacks of the demo, cut to what two cores do in a minute and a half; what an attacker can know of the lock is no option. */
const demoAttackOptions = attackOptionsWith(({ learn }) => learn === undefined).extend({
  optimizers: optimizers.unwrap().default(['adamw', 'adadelta']).describe(String(optimizers.description)),
  adaptiveOptimizers: adaptiveOptimizers.unwrap().default(1).describe(String(adaptiveOptimizers.description)),
  costSteps: costSteps.unwrap().default(160).describe(String(costSteps.description)),
});

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
  specdef: specDefOptions.prefault({}).describe('the lock'),
  attack: demoAttackOptions.prefault({}).describe('the attacks; they know what the lock raised'),
});

/** Parsed {@link demoOptions}. */
export type DemoOptions = z.output<typeof demoOptions>;

/** What the demo found. */
export interface DemoResult {
  /** Utility on the authorized test examples before and after the lock. */
  readonly test: UtilityChange;
  /** What the owner must know before publishing the locked model. */
  readonly warnings: readonly string[];
  /** Authorized score after the transforms of the attacks that draw nothing anew, by the attack's name. */
  readonly transformed: Readonly<Record<string, number>>;
  /** How the lock ended, and the singular values before and after. */
  readonly lock: LockJobResult;
  /** All searches. */
  readonly rows: readonly AttackRow[];
  /** What the score is, in words. */
  readonly metric: string;
  /** Advantage in cost. */
  readonly cost?: Advantage;
  /** Advantage in score. */
  readonly score?: Advantage;
  /** What the attacks left out because it could do nothing: one sentence each. */
  readonly notes: readonly string[];
  /** Examples of the unauthorized task: to train on, and that scores are measured on. */
  readonly unauthorized: { readonly train: number; readonly test: number };
}

/** The main job end to end: train a model, lock it, attack both. Interrupted at any point it goes on where it was. */
export async function runDemo(
  options: DemoOptions,
  context: {
    folder: RunFolder;
    engine: EngineOptions;
    workers: number;
    signal: AbortSignal;
    progress: PhaseProgress;
    /** Hears what plain fine-tuning with one optimizer found, before the rest is tried. */
    onFirst?: (rows: readonly AttackRow[]) => void;
  },
): Promise<DemoResult> {
  const { folder, engine, workers, signal, progress, onFirst } = context;
  const { seed } = options;
  const spec = (classes: number[]): DataSpec => dataSpec.parse({ name: 'digits', classes, splitSeed: seed });
  const authorized = await loadData(spec(options.authorized));
  const unauthorized = await loadData(spec(options.unauthorized));
  const job = (phase: string, stepOffset: number): JobContext => ({
    folder,
    phase,
    stepOffset,
    engine,
    signal,
    onStep: (step, text) => progress.advance(step, text),
  });

  const made = cardOfData(authorized.train, spec(options.authorized));
  const training = trainSteps(options.train, authorized.train);
  const paths = { unlocked: folder.file('unlocked'), locked: folder.file('locked') };
  const unlocked = await once(paths.unlocked, async () => {
    const classes = Math.max(options.authorized.length, options.unauthorized.length);
    const model = initializeModel('cnn', { num_labels: classes }, seed);
    progress.begin('train', training);
    const { evaluation } = await trainJob(
      { model, train: authorized.train, validation: authorized.validation, seed },
      options.train,
      job('train', 0),
    );
    progress.end();
    return { model, card: { ...made, metrics: cardMetrics(model, authorized.validation.name, evaluation) } };
  });

  const locked = await once(paths.locked, async () => {
    const model = await loadModel(paths.unlocked);
    progress.begin('lock', specdef.steps(options.specdef, authorized.train.size));
    const result = await lockJob(
      { model, train: authorized.train, validation: authorized.validation, seed },
      specdef,
      options.specdef,
      job('lock', training),
    );
    progress.end();
    await writeFileAtomic(folder.file('lock.json'), `${JSON.stringify(result, null, 2)}\n`);
    const metrics = result.after && cardMetrics(model, authorized.validation.name, result.after, result.before);
    return { model, card: { ...made, metrics, lock: cardLock(specdef.name, options.specdef, result) } };
  });

  const learned = learnedOptions(specdef.reveals(options.specdef));
  const plan = attackPlan(spec(options.unauthorized), options.attack, learned);
  const run = (part: AttackPlan) => attackJob(paths, part, { folder, workers, engine, signal, progress });
  // What anyone would try comes first, so that there is something to read soon; the whole plan finds it done.
  onFirst?.((await run({ ...plainPart(plan), title: 'attack, plain' })).rows);
  const { rows, notes } = await run(plan);

  const test = await utilityChange(unlocked, locked.weights, authorized.test, engine);
  const lock = (await readJsonFile(folder.file('lock.json'))) as LockJobResult;
  return {
    test,
    warnings: utilityWarnings(lock, test),
    transformed: await transformedScores(locked, plan.transforms ?? {}, authorized.test, engine),
    lock,
    rows,
    metric: scoreTitle(taskOf(locked)),
    cost: attackersAdvantage(rows, 'cost'),
    score: attackersAdvantage(rows, 'score'),
    notes,
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
  for (const { name, transforms: steps } of attacks.entries()) {
    if (steps.length === 0 || steps.some(({ name: step, isSeeded }) => available[step] === undefined || isSeeded))
      continue;
    const options = steps.map(({ name: step }) => ({ name: step, options: available[step] ?? {} }));
    const weights = transformWeights(model, model.weights, options, () => model.weights)(0);
    found[name] =
      (await evaluator.evaluate(parameterSet(weights), dataset)).metrics[evaluator.task.roles.score] ?? Number.NaN;
  }
  await evaluator.release();
  return found;
}

/** A model directory that is made once: a part that was finished before an interruption is not done again. */
async function once(path: string, make: () => Promise<{ model: Model; card: ModelCard }>): Promise<Model> {
  // config.json is written last, so a folder that has it is whole.
  if (!(await stat(join(path, 'config.json')).catch(() => undefined))) {
    const { model, card } = await make();
    await saveModel(path, model, { card, force: true });
  }
  return loadModel(path);
}
