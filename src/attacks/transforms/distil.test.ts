import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DataParts, type Dataset, dataSpec, loadData, subset } from '../../data/index.js';
import { ProgramCache } from '../../engine/index.js';
import { initializeModel, type Model, parameterSet, type StateDict, saveModel } from '../../models/index.js';
import { Evaluator } from '../../training/index.js';
import { AttackRunner, type AttackTask, attacks, type Bench, factsOf, plannedStarts, starts } from '../index.js';
import { planAttacks } from '../plan.js';
import { ownValues, trainWeights, withValues } from '../preparation/train-weights.js';
import { distilOptions, distilOutputs } from './distil.js';

const config = { num_labels: 6, hidden_sizes: [24, 16] };
const authorized = dataSpec.parse({ classes: [3, 5, 8, 0, 1, 2], testLimit: 150 });
const unauthorized = dataSpec.parse({ classes: [3, 5, 8], testLimit: 300 });
const drawn = initializeModel('mlp', config, 1);
const fresh = initializeModel('mlp', config, 9).weights;
const programs = new ProgramCache({ threads: 1 });
const evaluator = new Evaluator(drawn, { threads: 1 });
let root: string;
let retain: DataParts;
let own: DataParts;
/** Its outputs say which digit is which, those among them that the attacker is after. */
let released: Model;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-distil-'));
  [retain, own] = [await loadData(authorized), await loadData(unauthorized)];
  const params = ownValues(drawn.weights);
  await trainWeights({
    ...{ on: { model: drawn, programs }, params, dataset: retain.train, steps: 200, batchSize: 32, seed: 1 },
    ...{ optimizer: { name: 'adamw' }, learningRate: 5e-3 },
  });
  released = { ...drawn, weights: withValues(drawn.weights, params) };
  await saveModel(join(root, 'released'), released);
});
afterAll(async () => {
  await Promise.all([programs.release(), evaluator.release()]);
  await rm(root, { recursive: true, force: true });
});

const bench = (more: Partial<Bench> = {}): Bench => ({
  released: { model: released, weights: released.weights, evaluator, programs },
  attacked: { model: released, evaluator, programs },
  ...{ own: own.train, retain: retain.train, steps: 80, batchSize: 32 },
  ...more,
});
async function divergence(weights: StateDict) {
  const { metrics } = await evaluator.evaluate(parameterSet(weights), retain.test, {
    original: { weights: parameterSet(released.weights) },
  });
  return metrics[evaluator.task.roles.divergence] ?? Number.NaN;
}
const once = distilOptions.parse({ learningRates: [1e-2] });

describe('distil', () => {
  it('makes of fresh weights a student that gives what the released model gives', async () => {
    const { weights } = await distilOutputs(fresh, bench(), once, 1);
    expect(await divergence(weights)).toBeLessThan((await divergence(fresh)) / 2);
    // On the attacker's own inputs it learns less of the others.
    const onOwn = await distilOutputs(fresh, bench(), { ...once, inputs: 'own' }, 1);
    expect(await divergence(onOwn.weights)).toBeGreaterThan(1.5 * (await divergence(weights)));
    expect(await distilOutputs(fresh, bench({ retain: undefined }), once, 1)).toEqual(onOwn);
    await expect(distilOutputs(fresh, bench({ retain: undefined }), { ...once, inputs: 'retain' }, 1)).rejects.toThrow(
      'distil: expected examples like those of the authorized task',
    );
    // Examples without labels are asked about too, where there are more of them.
    const { labels: _, classes: __, ...alone } = retain.train as Dataset & { labels: unknown; classes: unknown };
    const onTexts = await distilOutputs(fresh, bench({ retain: undefined, unlabelled: alone }), once, 1);
    expect(onTexts).toEqual(await distilOutputs(fresh, bench(), { ...once, inputs: 'retain' }, 1));
    const few = subset(alone, [0, 1, 2]);
    expect(await distilOutputs(fresh, bench({ retain: undefined, unlabelled: few }), once, 1)).toEqual(onOwn);
    await expect(distilOutputs(fresh, bench(), { ...once, inputs: 'unlabelled' }, 1)).rejects.toThrow(
      'distil: expected examples without labels, found none',
    );
  });

  it('uses nothing of the released weights but their outputs', async () => {
    // The same function of other weights, to the bit: of a ReLU layer and the one behind it, by powers of two.
    const factors: Record<string, number> = { 'fc1.weight': 64, 'fc1.bias': 64, 'fc2.weight': 1 / 64 };
    const weights = new Map(
      [...released.weights].map(([name, { shape, data }]) => [
        name,
        { shape, data: data.map((value) => value * (factors[name] ?? 1)) },
      ]),
    );
    const rescaled = { model: released, weights, evaluator, programs };
    const found = await distilOutputs(fresh, bench({ released: rescaled }), once, 1);
    expect(found).toEqual(await distilOutputs(fresh, bench(), once, 1));
  });

  it('charges what its steps and the answers compute, and what else it tries', async () => {
    // What a forward pass is of a step, by hand: of the first layer nothing is passed back.
    const [first, others] = [784 * 24, 24 * 16 + 16 * 6];
    const pass = (first + others) / (2 * first + 3 * others);
    const { work } = await distilOutputs(fresh, bench(), once, 1);
    const { steps, samples } = work.spent;
    expect(work.steps).toBe(40);
    expect(samples).toBe(32 * steps);
    // A forward pass of the released model beside each step.
    expect(work.evaluations / steps).toBeCloseTo(1 + pass, 2);
    // Two looks by the student and one by the teacher, an eighth of the steps in all.
    expect(work.tried).toBeLessThanOrEqual(40 / 8);
    expect(work.tried).toBeGreaterThan(40 / 10);
    expect(work.evaluations + work.tried).toBeLessThanOrEqual(40);
    expect(work.evaluations + work.tried).toBeGreaterThan(40 - 1 - pass);
    // Three rates: a third of the steps is for tries, of which one is kept.
    const more = await distilOutputs(fresh, bench(), distilOptions.parse({}), 1);
    expect(more.work.steps).toBe(40);
    expect(more.work.evaluations + more.work.tried).toBeLessThanOrEqual(40);
    expect(more.work.spent.steps).toBeGreaterThan(20);
    const tries = Math.floor(more.work.spent.steps / 3 / 3);
    expect(more.work.evaluations).toBeCloseTo((more.work.spent.steps - 2 * tries) * (1 + pass), 0);
    // No step fits into a trial's first.
    const none = await distilOutputs(fresh, bench({ steps: 2 }), once, 1);
    expect(none.weights).toBe(fresh);
    expect(none.work.spent.steps).toBe(0);
    expect(none.work.steps).toBeLessThanOrEqual(1);
  });

  it('divides the logits of both by its temperature: as if both heads were so much smaller', async () => {
    const headOver = (weights: StateDict, divisor: number) =>
      new Map(
        [...weights].map(([name, { shape, data }]) => [
          name,
          { shape, data: name.startsWith('fc3.') ? data.map((value) => value / divisor) : data },
        ]),
      );
    const smaller = { model: released, weights: headOver(released.weights, 4), evaluator, programs };
    // One step.
    const options = { ...once, optimizer: 'sgd' };
    const soft = await distilOutputs(fresh, bench({ steps: 8 }), { ...options, temperature: 4 }, 1);
    const plain = await distilOutputs(headOver(fresh, 4), bench({ steps: 8, released: smaller }), options, 1);
    const hard = await distilOutputs(fresh, bench({ steps: 8 }), options, 1);
    expect(soft.work).toMatchObject({ steps: hard.work.steps, spent: { ...hard.work.spent, steps: 1 } });
    const of = ({ weights }: { weights: StateDict }) => weights.get('fc1.weight')?.data ?? new Float32Array();
    const begun = fresh.get('fc1.weight')?.data ?? new Float32Array();
    const moved = (found: Float32Array) => Math.max(...found.map((value, index) => Math.abs(value - begun[index])));
    const apart = Math.max(...of(soft).map((value, index) => Math.abs(value - of(plain)[index])));
    expect(apart).toBeLessThan(1e-3 * moved(of(soft)));
    expect(moved(of(hard))).toBeGreaterThan(2 * moved(of(soft)));
  });

  it('leaves fresh weights where no rate does any good', async () => {
    const options = distilOptions.parse({ optimizer: 'sgd', learningRates: [1e30] });
    const { weights, work } = await distilOutputs(fresh, bench(), options, 1);
    expect(weights).toBe(fresh);
    // Until it was seen to diverge, and what was looked at.
    expect(work.spent.steps).toBeLessThan(5);
    expect(work.steps).toBeLessThan(10);
    expect(work.notes).toEqual(['distil left the student as it was drawn, as no learning rate made it better']);
  });

  it("makes a student of a model with another head, whose own is the attacker's", async () => {
    const model = initializeModel('mlp', { ...config, num_labels: 3 }, 9);
    const more = await loadData(dataSpec.parse({ testLimit: 10 }));
    // Examples of ten classes, which a model of six could not be trained on.
    const asked = bench({ attacked: { model, evaluator, programs }, own: more.train, retain: undefined });
    const { weights } = await distilOutputs(model.weights, asked, once, 1);
    expect(weights.get('fc3.weight')).toEqual(model.weights.get('fc3.weight'));
    expect(weights.get('fc1.weight')).not.toEqual(model.weights.get('fc1.weight'));
  });
});

describe('an attack by distillation', () => {
  const task = (more: Partial<AttackTask> = {}): AttackTask => ({
    id: 'distil',
    start: { kind: 'model', path: join(root, 'released') },
    transforms: [{ name: 'distil', options: {} }],
    optimizer: { name: 'adamw' },
    data: unauthorized,
    retain: authorized,
    perClass: 3,
    ...{ steps: 400, batchSize: 32, giveUpBelow: -1 },
    budget: { decades: [-2], refine: false, searchSeeds: [5], seeds: [1, 2] },
    ...more,
  });
  const scratch = () => task({ start: { kind: 'random', like: join(root, 'released') }, transforms: [] });

  it('ends better than training from scratch where few labels are had and the outputs tell, for as much computing', async () => {
    const runner = new AttackRunner();
    const [distilled, alone] = [await runner.run(task()), await runner.run(scratch())];
    await runner.release();
    for (const [index, { score, curve, before, spent }] of distilled.trials.entries()) {
      const other = alone.trials[index];
      expect(score).toBeGreaterThan(other.score + 0.05);
      // All of its rates, with all looks at examples.
      const share = (spent?.flops ?? 0) / (other.spent?.flops ?? 0);
      expect(share).toBeGreaterThan(0.95);
      expect(share).toBeLessThan(1.005);
      expect(curve.at(-1)?.step).toBe(400);
      expect(before?.steps).toBe(curve[0].step);
      expect(before?.steps).toBeGreaterThan(195);
      expect(before?.steps).toBeLessThanOrEqual(200);
    }
  });

  it('counts to the floor, and is tried on the released model where it is named', async () => {
    const attack = attacks.get('distil');
    expect(attack.suite).toBe('standard');
    const facts = factsOf(attack, starts.get('locked'));
    expect(facts).toMatchObject({ countsAs: 'floor', adaptive: false, knows: [], trains: true, label: 'distilled' });
    expect(factsOf(attack, starts.get('unlocked')).countsAs).toBe('nothing');
    const path = join(root, 'released');
    const planned = planAttacks(await plannedStarts({ locked: path, unlocked: path }), {
      ...{ attacks: ['distil'], transforms: { distil: {} } },
    });
    expect(planned.tried.map(({ attack: { name }, start }) => `${start.start.name} ${name}`)).toEqual([
      ...['locked frozen', 'locked distil', 'random weights fine-tune'],
    ]);
    expect(planned.notes).toEqual([
      'Not tried on unlocked: attacks with distil, which learns from the released model alone.',
    ]);
  });
});
