import { expect, it, vi } from 'vitest';
import { type AttackRow, attacks, compositionOf, factsOf, starts, type Trial } from '../../attacks/index.js';
import { dataSpec, loadData } from '../../data/index.js';
import { initializeModel } from '../../models/index.js';
import { DivergedError } from '../../training/index.js';
import { silentProgress } from '../progress.js';
import type { Runner } from '../run/index.js';
import { Comparison, planOf, worthNothing } from './frontier-comparison.js';
import type { PreparedModel } from './frontier-models.js';
import type { ModelSettings } from './frontier-settings.js';

const classes = [0, 1];
const spec = dataSpec.parse({ classes, limit: 20, testLimit: 10 });
const loaded = loadData(spec);

/** Six seeds, a little apart. */
function row(start: string, score: number, measure: 'score' | 'cost' = 'score', attack = 'fine-tune'): AttackRow {
  const trials = [1, 2, 3, 4, 5, 6].map((seed): Trial => {
    const curve = [{ step: 8, score: score + 0.001 * seed }];
    const spent = { steps: 8, samples: 8, flops: 1000 };
    const reached = score > 0.6 && { cost: 10 * (1 - score), costFlops: 400 };
    return {
      learningRate: 0.1,
      seed,
      curve,
      metrics: {},
      score: score + 0.001 * seed,
      evaluations: 8,
      end: 'budget',
      spent,
      ...reached,
    };
  });
  const composition = compositionOf({
    ...{ start: { kind: 'model', path: 'm' }, optimizer: { name: 'adamw' }, data: spec, steps: 8, batchSize: 1 },
    budget: { decades: [0], searchSeeds: [], seeds: [] },
  });
  const facts = factsOf(attacks.get(attack), starts.get(start));
  return {
    ...facts,
    composition,
    measure,
    optimizer: 'adamw',
    budget: 8,
    result: { search: [], learningRate: 0.1, trials },
  };
}

const both = (start: string, score: number) => [row(start, score), row(start, score, 'cost')];

async function compare(diverging: readonly number[]) {
  const data = await loaded;
  const model = initializeModel('cnn', { num_labels: 2 }, 1);
  const evaluation = (accuracy: number) => {
    const each = { n: 10, metrics: { accuracy, kl: 0.02, auc: accuracy + 0.05 } };
    return { float32: each, float16: each, bfloat16: each };
  };
  const attack = vi.fn(async (_targets: unknown) => ({ rows: both('locked', 0.7), notes: [], seconds: {} }));
  const runner = {
    ...{ context: { progress: silentProgress }, notes: new Set<string>(), seconds: { 'cnn-redistil-1': 4 } },
    lock: async ({ name, seed }: { name: string; seed: number }) => {
      if (diverging.includes(seed)) {
        throw new DivergedError({ step: 3, steps: 9, loss: Number.NaN, learningRate: 0.1, what: 'the loss is NaN' });
      }
      return { path: name, model, info: { steps: 9, stepsTried: 9, flops: 5000 } };
    },
    utility: async () => ({ task: 'classification', guessing: 0.5, before: evaluation(0.9), after: evaluation(0.8) }),
    attack,
  };
  const own = {
    ...{ optimizers: [], attacks: ['fine-tune'], draws: [1, 2, 3], locks: [{ method: 'redistil' }] },
    budget: { steps: 8, batchSize: 1, searchSeeds: [], seeds: [1], evaluationSpacing: 2 },
  } satisfies ModelSettings;
  const unlocked = { path: 'unlocked', model, info: {} };
  const prepared = { unlocked, data: { ...data, spec }, goal: { data: spec, target: 0.7 } };
  const base = [...both('unlocked', 0.9), ...both('random weights', 0.55)];
  const comparison = new Comparison(runner as unknown as Runner, { name: 'cnn', label: 'CNN' }, prepared, own, base);
  return { comparison, attack, runner };
}

it('judges the draws that there are of a lock some of whose draws diverge', async () => {
  const { comparison, attack, runner } = await compare([2]);
  const found = await comparison.judge({ method: 'redistil' });
  expect(found).toMatchObject({ method: 'redistil', diverged: 1, seconds: 4, flops: 5000 });
  expect(found.lost).toHaveLength(2);
  for (const lost of [...found.lost, ...(found.areaLost ?? [])]) expect(lost).toBeCloseTo(0.1, 9);
  expect(found.areaLost).toHaveLength(2);
  expect(attack.mock.calls[0][0]).toEqual({ locked: 'cnn-redistil-1', lockedDraws: ['cnn-redistil-3'] });
  expect([...runner.notes]).toEqual([expect.stringContaining('CNN, redistil: draw 2 diverged at step 3 of 9')]);
});

it('goes on where all draws diverge, of which there is nothing to attack', async () => {
  const { comparison, attack } = await compare([1, 2, 3]);
  const found = await comparison.judge({ method: 'redistil' });
  expect(found).toMatchObject({ diverged: 3, lost: [], kl: [] });
  expect(found).not.toHaveProperty('score');
  expect(attack).not.toHaveBeenCalled();
});

it('says what the best attacks reach, in score and in steps, and what they compute', async () => {
  const { comparison } = await compare([]);
  const { score, cost, diverged } = await comparison.judge({ method: 'redistil' });
  expect(diverged).toBeUndefined();
  expect(score?.reached?.locked).toMatchObject({ attack: 'fine-tuning, adamw', flops: 1000 });
  expect(score?.reached?.unlocked.value).toBeCloseTo(0.9035, 9);
  expect(score?.reached?.floor.value).toBeCloseTo(0.5535, 9);
  expect(cost?.reached?.locked.value).toBeCloseTo(3, 9);
  expect(cost?.reached?.locked).toMatchObject({ flops: 400 });
  expect(cost?.reached?.floor).toMatchObject({ value: 8, ranOut: true });
});

it('names a control by its lock, and which locks it is the control of', async () => {
  const { comparison, attack } = await compare([]);
  const control = { lock: { method: 'redistil' }, options: { a: 0 }, controls: ['redistil', 'erase'] };
  const found = await comparison.judgeControl(control);
  expect(found).toMatchObject({ method: 'sham of redistil', controls: ['redistil', 'erase'] });
  expect(found.class).toBeUndefined();
  expect(attack.mock.calls[0][0]).toMatchObject({ locked: 'cnn-redistil-sham-1' });
});

it('takes out the fresh numbers of a lock that mixed some in, by the share that it mixed, and clips all locks alike, with examples to heal on', () => {
  const locks = [{ method: 'specdef', options: { topK: 7 } }];
  const budget = { steps: 8, batchSize: 1, searchSeeds: [], seeds: [1], evaluationSpacing: 2 };
  const own = { optimizers: [], attacks: ['fine-tune', 'clip'], draws: [1], locks, budget };
  const kept = dataSpec.parse({ classes, limit: 30 });
  const plan = (lock: { method: string; options?: Readonly<Record<string, unknown>> }) =>
    planOf(
      { goal: { data: spec, target: 0.7 }, data: { spec: kept } } as PreparedModel,
      own as ModelSettings,
      'cnn',
      lock,
    );
  const mixed = plan({ method: 'redistil', options: { a: 0.3 } });
  expect(mixed.attacks).toEqual(['fine-tune', 'clip', 'unmix']);
  expect(mixed.transforms).toMatchObject({ unmix: { a: 0.3 }, clip: { topK: 7 } });
  expect(mixed.budgets[0].setting).toMatchObject({ data: spec, retain: kept });
  expect(plan({ method: 'erase' }).attacks).toEqual(['fine-tune', 'clip']);
  expect(plan({ method: 'erase' }).transforms).toMatchObject({ clip: { topK: 7 } });
});

it('finds weights worthless where random ones do as well, or the outputs alone, and says what reached what', () => {
  const random = row('random weights', 0.55);
  expect(worthNothing('CNN', [row('unlocked', 0.9), random])).toBeUndefined();
  expect(worthNothing('CNN', [row('unlocked', 0.55), random])).toBe(
    'No lock of CNN was drawn, as its weights are worth nothing to this attacker: fine-tuning, adamw, 55.4 %, cannot be told from fine-tuning, adamw, 55.4 %.',
  );
  const outputs = (score: number) => row('unlocked', score, 'score', 'frozen');
  expect(worthNothing('CNN', [row('unlocked', 0.9), random, outputs(0.7)])).toBeUndefined();
  expect(worthNothing('CNN', [row('unlocked', 0.9), random, outputs(0.9)])).toContain('cannot be told from frozen use');
  // Of what was not attacked nothing is known.
  expect(worthNothing('CNN', [random])).toBeUndefined();
});
