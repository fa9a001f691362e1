import { afterAll, beforeAll, expect, it } from 'vitest';
import { betweenLayers, canonicalizeOptions, canonicalizeWeights } from '../src/attacks/index.js';
import { partRun } from '../src/attacks/trained/trainable.js';
import { type LabelledDataset, loadDigits, selectClasses, splitTrainTest, subset } from '../src/data/index.js';
import { lockKey, relock, unlock } from '../src/locks/index.js';
import { cloneWeights, initializeModel, parameterSet, type StateDict } from '../src/models/index.js';
import {
  createObjective,
  DivergedError,
  Evaluator,
  type Objective,
  type Optimizer,
  optimizers,
  runSteps,
} from '../src/training/index.js';

/*
 * What guessing the key of a `rebalance` lock gains: the numbers of docs/locks/keyed.md.
 *   npx vitest run --config vitest.slow.config.ts test/keyed-guesses.slow.ts
 */

const engine = { threads: 1 };
const config = { num_labels: 5, channels: [4, 8], hidden_sizes: [32, 24, 16] };
/** Seeds of locks, and of the batches that what they gave is trained on. */
const secrets = [604_112, 77_003, 915_840];
/** Keys that are no secret's. */
const guesses = [1, 2];
/** Test loss to reach, guessing being at 1.61; measured after every fourth step. */
const [target, every, most] = [0.5, 4, 480];

interface Course {
  readonly name: string;
  readonly rates: readonly number[];
  create(): Optimizer;
}
const rates = (first: number, count: number) => Array.from({ length: count }, (_, i) => first / 4 ** i);
const courses: readonly Course[] = [
  {
    name: 'SGD, momentum 0.9',
    rates: rates(0.2, 10),
    create: () => optimizers.get('sgd').create({ momentum: 0.9 }),
  },
  { name: 'AdamW', rates: rates(0.03, 6), create: () => optimizers.get('adamw').create() },
];

/** A start of training: weights, and whether each matrix is trained between two layers that its own spectrum makes. */
interface Start {
  readonly name: string;
  readonly weights: StateDict;
  readonly isBetween?: boolean;
}

const model = initializeModel('cnn', config, 1);
const evaluator = new Evaluator(model, engine);
const objectives: Objective[] = [];
let test: LabelledDataset;

const first = (dataset: LabelledDataset, count: number) => subset(dataset, [...Array(count).keys()]);
/** As the attack `preconditioned` does, with its defaults. */
const between = betweenLayers(
  () => 8,
  (sigma) => sigma.slice(0, -1).map((value) => Math.sqrt(sigma[sigma.length - 1] / value)),
);

beforeAll(async () => {
  const digits = await loadDigits();
  const parts = (classes: number[]) => splitTrainTest(selectClasses(digits, classes), 0.3, 3);
  const own = first(parts([0, 1, 2, 3, 4]).train, 2000);
  const next = parts([5, 6, 7, 8, 9]);
  test = first(next.test, 300);
  const pretraining = await createObjective({ model, dataset: own, batchSize: 32, seed: 1, engine });
  await runSteps({
    params: parameterSet(model.weights),
    compute: (...asked) => pretraining.compute(...asked),
    optimizer: optimizers.get('adamw').create(),
    learningRate: 2e-3,
    steps: 250,
  });
  await pretraining.release();
  const dataset = first(next.train, 1500);
  for (const seed of secrets) objectives.push(await createObjective({ model, dataset, batchSize: 32, seed, engine }));
});
afterAll(async () => {
  for (const objective of objectives) await objective.release();
  await evaluator.release();
});

/** Steps to the target at the best rate; more than `most`: not reached. A rate is given up where it cannot be the best. */
async function stepsToTarget({ weights, isBetween }: Start, course: Course, objective: Objective): Promise<number> {
  let best = most + every;
  for (const learningRate of course.rates) {
    const params = parameterSet(cloneWeights(weights));
    const optimizer = course.create();
    const run = partRun(objective, params, optimizer, { make: isBetween ? between : undefined, seed: 1 });
    await runSteps({
      ...{ params: run.params, shapes: run.shapes, compute: run.compute, optimizer, learningRate },
      steps: best - every,
      onDiverged: () => 'stop',
      afterStep: async ({ step }) => {
        if (step % every !== 0) return undefined;
        await run.write();
        const { loss } = (await evaluator.evaluate(params, test)).metrics;
        if (loss === undefined || loss === null || !(loss < 1e3)) return 'stop';
        if (loss > target) return undefined;
        best = step;
        return 'stop';
      },
    }).catch((error: unknown) => {
      if (!(error instanceof DivergedError)) throw error;
    });
    if (best === every) break;
  }
  return best;
}

/** All starts of one secret. */
function startsOf(secret: number): Start[] {
  const key = (seed: number) => lockKey({}, seed);
  const changed = (weights: StateDict, change: (copy: StateDict) => void) => {
    const copy = cloneWeights(weights);
    change(copy);
    return copy;
  };
  const canonical = (weights: StateDict) => canonicalizeWeights(model, weights, canonicalizeOptions.parse({}));
  const locked = changed(model.weights, (copy) => relock(model, copy, key(secret)));
  const opened = changed(locked, (copy) => unlock(model, copy, key(secret)));
  expect([...parameterSet(opened)]).toEqual([...parameterSet(model.weights)]);
  return [
    { name: 'unlocked', weights: model.weights },
    { name: 'locked, with its key', weights: opened },
    { name: 'locked, without a key', weights: locked },
    ...guesses.map((guess) => ({
      name: 'locked, with a wrong key',
      weights: changed(locked, (copy) => unlock(model, copy, key(guess))),
    })),
    { name: 'locked, canonicalized', weights: canonical(locked) },
    { name: 'locked, preconditioned by its own spectrum', weights: locked, isBetween: true },
    { name: 'unlocked, canonicalized', weights: canonical(model.weights) },
    { name: 'from scratch', weights: initializeModel('cnn', config, secret).weights },
  ];
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

it('who canonicalizes a keyed lock trains it as fast as its owner; a wrong key is no better than none', async () => {
  for (const course of courses) {
    const found = new Map<string, number[]>();
    for (const [index, secret] of secrets.entries()) {
      for (const start of startsOf(secret)) {
        const steps = await stepsToTarget(start, course, objectives[index]);
        found.set(start.name, [...(found.get(start.name) ?? []), steps]);
      }
    }
    const shown = (steps: number) => (steps > most ? `>${most}` : String(steps));
    console.log(course.name);
    for (const [name, steps] of found) {
      console.log(`| ${name} | ${shown(median(steps))} (${steps.map(shown).join(', ')}; n = ${steps.length}) |`);
    }
    const of = (name: string) => median(found.get(name) ?? []);
    expect(found.get('locked, with its key')).toEqual(found.get('unlocked'));
    expect(of('locked, canonicalized')).toBeLessThanOrEqual(of('locked, with its key'));
    expect(of('locked, without a key')).toBeGreaterThan(of('from scratch'));
    expect(of('locked, with a wrong key')).toBeGreaterThanOrEqual(of('locked, without a key'));
  }
});
