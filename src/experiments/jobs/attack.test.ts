import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AttackFacts, type AttackTask, attacks, trainedParts, trialCount } from '../../attacks/index.js';
import { dataSpec } from '../../data/index.js';
import { initializeModel, saveModel } from '../../models/index.js';
import { InputError, InterruptedError, WeightlockError } from '../../registry/index.js';
import type { PhaseProgress } from '../progress.js';
import { searchForm } from '../result-forms/attacked.js';
import { type AttackJobContext, attackExtent, attackJob, labelledTasks, rowsOf } from './attack.js';
import { searchKeys } from './search-key.js';

let root: string;
let checkpoints: string;
const targets = () => ({ locked: join(root, 'locked'), unlocked: join(root, 'unlocked') });
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-attack-job-'));
  for (const [seed, name] of ['locked', 'unlocked'].entries()) {
    await saveModel(join(root, name), initializeModel('mlp', { num_labels: 2, hidden_sizes: [8, 6] }, seed + 1));
  }
});
beforeEach(async () => {
  checkpoints = await mkdtemp(join(root, 'checkpoints-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Few trials of few steps: two rates and the two beside the best, the two best with another seed, two reported runs. */
const budgetOf = { decades: [-2, -3], searchSeeds: [7, 8], seeds: [1, 2] };
const plan = {
  budgets: [
    {
      measures: ['score'] as const,
      setting: {
        data: dataSpec.parse({ classes: [2, 3], testLimit: 60 }),
        perClass: 5,
        steps: 6,
        batchSize: 8,
        optimizers: [{ name: 'adamw', decades: budgetOf.decades }],
        searchSeeds: budgetOf.searchSeeds,
        seeds: budgetOf.seeds,
      },
    },
  ],
  plainFrom: ['locked', 'random weights'],
};
const trialsOfSearch = 8;

/** The files of searches, without their keys. */
const names = async () => (await readdir(checkpoints)).map((name) => name.replace(/-[0-9a-f]{12}\./, '.')).sort();

/** Where a search of the plan is kept. */
async function fileOf(index: number, ending: string): Promise<() => string> {
  const { tasks } = await labelledTasks(targets(), plan);
  const { task } = tasks[index];
  const key = await searchKeys()(task);
  return () => join(checkpoints, `attack-${task.id}-${key}${ending}`);
}

/** A context that stops after so many trials, and what it showed. */
function contextOf({
  stopAfter = Number.POSITIVE_INFINITY,
  workers = 0,
}: {
  stopAfter?: number;
  workers?: number;
} = {}) {
  const controller = new AbortController();
  const shown = { trials: 0, skipped: 0, onDisk: [] as number[] };
  const progress: PhaseProgress = {
    begin: () => undefined,
    advance: () => undefined,
    advanceBy: (_steps, count) => {
      // Those that an earlier run has done, of six steps each, are among the words.
      shown.trials = Number(/^\d+/.exec(count)?.[0]) - shown.skipped / 6;
      if (shown.trials >= stopAfter) controller.abort();
    },
    skip: (steps) => {
      shown.skipped += steps;
    },
    end: () => undefined,
  };
  const folder = { checkpointPath: (name: string) => join(checkpoints, name) };
  const context: AttackJobContext = { folder, workers, signal: controller.signal, progress };
  return { context, shown };
}

it('a plan of which two searches have one name is refused before anything runs, however it was made', async () => {
  const [budget] = plan.budgets;
  const optimizers = [
    { name: 'adamw', decades: [-2] },
    { name: 'schedule-free-adamw', decades: [-2] },
  ];
  const fineTune = attacks.get('fine-tune');
  const alike = {
    budgets: [{ ...budget, setting: { ...budget.setting, optimizers } }],
    attacks: ['x', 'x-schedule-free'],
    defined: [
      { ...fineTune, name: 'x' },
      { ...fineTune, name: 'x-schedule-free' },
    ],
    from: ['locked'],
  };
  const refused = new InputError(
    'attacks: expected a name of its own for each search, found score-x-schedule-free-adamw-locked for x with schedule-free-adamw and for x-schedule-free with adamw',
  );
  const { context, shown } = contextOf();
  await expect(attackJob(targets(), alike, context)).rejects.toThrow(refused);
  await expect(attackExtent(targets(), alike)).rejects.toThrow(refused);
  expect([shown.trials, await readdir(checkpoints)]).toEqual([0, []]);
});

describe('attackJob', () => {
  it('goes on at the trial after an interruption, with the bits of a run without one', async () => {
    const { rows: whole } = await attackJob(targets(), plan, contextOf().context);
    expect(whole.map(({ start }) => start)).toEqual(['locked', 'random weights']);
    expect(await names()).toEqual([
      'attack-score-fine-tune-adamw-locked.json',
      'attack-score-fine-tune-adamw-random-weights.json',
    ]);

    checkpoints = await mkdtemp(join(root, 'checkpoints-'));
    const trialsFile = await fileOf(0, '.trials.json');
    let done = 0;
    // Stopped again and again: within the search, at its end, and in the next one.
    for (const stopAfter of [1, 3, 1, 3, 2]) {
      const { context, shown } = contextOf({ stopAfter });
      await expect(attackJob(targets(), plan, context)).rejects.toThrow(InterruptedError);
      expect(shown.trials).toBe(stopAfter);
      expect(shown.skipped).toBe(6 * done);
      done += stopAfter;
      if (done < trialsOfSearch) expect(JSON.parse(await readFile(trialsFile(), 'utf8'))).toHaveLength(done);
    }
    const { context, shown } = contextOf();
    const { rows: resumed } = await attackJob(targets(), plan, context);
    expect(shown).toMatchObject({ trials: 2 * trialsOfSearch - done, skipped: 6 * done });
    expect(resumed).toEqual(whole);
    expect(JSON.stringify(resumed)).toBe(JSON.stringify(whole));
    expect((await readdir(checkpoints)).filter((name) => name.includes('.trials.'))).toEqual([]);
    // All is there: nothing is computed again, in workers neither.
    const again = contextOf({ workers: 1 });
    expect((await attackJob(targets(), plan, again.context)).rows).toEqual(whole);
    expect(again.shown.trials).toBe(0);
  });

  it('begins with the searches that take longest: what fits classifiers, then most steps', async () => {
    const [{ setting }] = plan.budgets;
    const longer = { measures: ['cost'] as const, setting: { ...setting, steps: 12 } };
    const both = { budgets: [...plan.budgets, longer], attacks: ['fine-tune', 'white-box'], from: ['locked'] };
    const { tasks } = await labelledTasks(targets(), both);
    expect(tasks[0].task.id).toBe('score-fine-tune-adamw-locked');
    const begun = async (stopAfter: number) => {
      await expect(attackJob(targets(), both, contextOf({ stopAfter }).context)).rejects.toThrow(InterruptedError);
      return (await names()).filter((name) => name.endsWith('.trials.json'));
    };
    expect(await begun(1)).toEqual(['attack-score-frozen-lbfgs-locked.trials.json']);
    const classifiers = tasks.filter(({ task }) => task.trained?.name !== 'all');
    const trials = classifiers.reduce((sum, { task }) => sum + trialCount(task.budget), 0);
    expect(await begun(trials)).toEqual(['attack-cost-fine-tune-adamw-locked.trials.json']);
  });

  it('does the same in a worker process, which is handed the trials that are done', async () => {
    const { rows: whole } = await attackJob(targets(), plan, contextOf().context);
    checkpoints = await mkdtemp(join(root, 'checkpoints-'));
    const first = contextOf({ stopAfter: 3, workers: 1 });
    await expect(attackJob(targets(), plan, first.context)).rejects.toThrow(InterruptedError);
    const second = contextOf({ workers: 1 });
    expect((await attackJob(targets(), plan, second.context)).rows).toEqual(whole);
    expect(first.shown.trials + second.shown.trials).toBeGreaterThanOrEqual(2 * trialsOfSearch);
    expect(second.shown.trials).toBeLessThan(2 * trialsOfSearch);
  });

  it('does the same in more processes than there are searches, which share the seeds', async () => {
    const { rows: whole } = await attackJob(targets(), plan, contextOf().context);
    checkpoints = await mkdtemp(join(root, 'checkpoints-'));
    // Of the first search alone, with all but what is reported.
    const first = contextOf({ stopAfter: trialsOfSearch - 1, workers: 3 });
    await expect(attackJob(targets(), { ...plan, plainFrom: ['locked'] }, first.context)).rejects.toThrow(
      InterruptedError,
    );
    const all = contextOf({ workers: 3 });
    expect((await attackJob(targets(), plan, all.context)).rows).toEqual(whole);
    expect(first.shown.trials + all.shown.trials).toBeLessThanOrEqual(2 * trialsOfSearch + 1);
  });

  it('reads whole searches, and no trials of a rate that is not searched', async () => {
    const found = { search: [], learningRate: 0.5, trials: [], seconds: [] };
    const [whole, trials] = [await fileOf(0, '.json'), await fileOf(1, '.trials.json')];
    await writeFile(whole(), JSON.stringify(found));
    const other = { learningRate: 0.7, seed: 7, score: 1, curve: [{ step: 0, score: 1 }], end: 'budget', seconds: 1 };
    await writeFile(trials(), JSON.stringify([other]));
    const { rows } = await attackJob(targets(), plan, contextOf().context);
    expect(rows[0].result).toEqual({ search: [], learningRate: 0.5, trials: [] });
    const { search, trials: reported } = rows[1].result;
    expect(search).toHaveLength(trialsOfSearch - 2);
    expect([...search, ...reported].some(({ learningRate }) => learningRate === 0.7)).toBe(false);
  });

  it('takes nothing that another search left under its name, and leaves it', async () => {
    const [budget] = plan.budgets;
    const longer = { ...plan, budgets: [{ ...budget, setting: { ...budget.setting, steps: 8 } }] };
    const own = { ...targets(), locked: join(root, 'anew') };
    const make = (seed: number) =>
      saveModel(own.locked, initializeModel('mlp', { num_labels: 2, hidden_sizes: [8, 6] }, seed), { force: true });
    await make(5);
    const first = await attackJob(own, plan, contextOf().context);
    const left = await readdir(checkpoints);
    const others = [
      { what: 'more steps', run: () => attackJob(own, longer, contextOf().context) },
      { what: 'other weights', run: () => make(6).then(() => attackJob(own, plan, contextOf().context)) },
    ];
    for (const { what, run } of others) {
      const { rows } = await run();
      expect(rows[0].result, what).not.toEqual(first.rows[0].result);
      expect(await readdir(checkpoints), what).toEqual(expect.arrayContaining(left));
    }
    await make(5);
    const again = contextOf();
    expect((await attackJob(own, plan, again.context)).rows).toEqual(first.rows);
    expect(again.shown.trials).toBe(0);
  });

  it('keeps that something could not be measured', async () => {
    const classes = { ...plan.budgets[0].setting, data: dataSpec.parse({ classes: [2, 3], testLimit: 1 }) };
    const few = { ...plan, budgets: [{ measures: ['score'] as const, setting: classes }], plainFrom: ['locked'] };
    const { rows: whole } = await attackJob(targets(), few, contextOf().context);
    // One test example leaves a class without one.
    expect(Object.values(whole[0].result.trials[0].metrics)).toContain(null);
    expect((await attackJob(targets(), few, contextOf().context)).rows).toEqual(whole);
    checkpoints = await mkdtemp(join(root, 'checkpoints-'));
    expect((await attackJob(targets(), few, contextOf({ workers: 1 }).context)).rows).toEqual(whole);
  });
});

describe('what goes wrong in a search', () => {
  const [first] = plan.budgets;
  const planOf = (attack: string, setting: Partial<typeof first.setting> & { searchSteps?: number } = {}) => ({
    budgets: [{ ...first, setting: { ...first.setting, ...setting } }],
    attacks: [attack],
    transforms: { heal: { learningRates: [1e-2] } },
    from: ['locked'],
  });

  it('keeps the weights that were prepared where a search failed, and removes them where none did', async () => {
    let fails = true;
    trainedParts.register({
      ...trainedParts.get('all'),
      name: 'failing-later',
      search: async (context, options) => {
        await context.prepared(1, undefined);
        if (fails) throw new WeightlockError('no memory');
        return trainedParts.get('all').search(context, options);
      },
    });
    const heal = attacks.get('heal');
    attacks.register({ ...heal, name: 'heal-failing', trained: trainedParts.get('failing-later') });
    const store = () => readdir(join(checkpoints, 'prepared'));
    const found = await attackJob(targets(), planOf('heal-failing'), contextOf().context);
    expect(found.rows.map(({ kind }) => kind)).toEqual(['frozen']);
    expect(found.notes.at(-1)).toBe('Not measured: score-heal-failing-adamw-locked failed (no memory).');
    expect(await store()).toHaveLength(1);
    fails = false;
    const again = await attackJob(targets(), planOf('heal-failing'), contextOf().context);
    expect(again.rows.map(({ kind }) => kind)).toEqual(['frozen', 'heal-failing']);
    await expect(store()).rejects.toThrow('ENOENT');
  });

  it.each([0, 1])(
    'says in its row what cannot be done here, and goes on with the others, %i workers',
    async (workers) => {
      const parent = join(root, 'stranger');
      await saveModel(parent, initializeModel('mlp', { num_labels: 3, hidden_sizes: [5, 4] }, 3), { force: true });
      const from = { ...planOf('interpolate'), transforms: { interpolate: { parent } } };
      const { rows, notes } = await attackJob(targets(), from, contextOf({ workers }).context);
      expect(rows.map(({ kind }) => kind)).toEqual(['frozen', 'interpolate']);
      const reason = 'interpolate: expected a parent with weights of the same names and shapes, found none';
      expect(rows.map(({ missing }) => missing)).toEqual([undefined, { failed: 2, of: 2, reason, impossible: true }]);
      expect(notes.at(-1)).toBe(`score-interpolate-adamw-locked does not work here: ${reason}.`);
      // Neither its trials nor a result stay: it is tried again when the run is.
      expect((await readdir(checkpoints)).filter((name) => name.includes('interpolate'))).toEqual([]);
      // Of the unlocked model nothing else is tried: then the run has no result.
      const alone = attackJob(targets(), { ...from, from: ['unlocked'] }, contextOf({ workers }).context);
      await expect(alone).rejects.toThrow(InputError);
    },
  );

  it('plans nothing with optimizers that an attack cannot use, and says so', async () => {
    const { tasks, notes } = await labelledTasks(
      targets(),
      planOf('lora', { optimizers: [{ name: 'lbfgs', decades: [0] }] }),
    );
    expect(tasks.map(({ facts }) => facts.kind)).toEqual(['frozen']);
    expect(notes).toEqual([
      'lora is not tried with lbfgs: not all weights are trained, which needs an optimizer of the gradient alone.',
    ]);
    const both = [
      { name: 'lbfgs', decades: [0] },
      { name: 'sgd', decades: [-1] },
    ];
    const first = { ...planOf('beside-top', { optimizers: both }), adaptiveOptimizers: 1 };
    const found = await labelledTasks(targets(), first);
    expect(found.tasks.map(({ task }) => task.optimizer.name)).toEqual(['lbfgs', 'sgd']);
  });

  it('searches options of parts that nobody gave, the same for every start, and counts their trials', async () => {
    const choicesOf = async (attack: string, more: object = {}, setting: object = {}) => {
      const own = { ...planOf(attack, setting), from: undefined, searchesParts: true, ...more };
      const { tasks } = await labelledTasks(targets(), own);
      const found = tasks.filter(({ facts }) => facts.kind === attack);
      expect(new Set(found.map(({ task }) => JSON.stringify(task.budget))).size).toBe(1);
      return found[0].task.budget;
    };
    const ema = await choicesOf('ema');
    expect(ema.choices).toEqual({ 'ema.decay': [0.95, 0.8, 0.99] });
    expect(trialCount(ema)).toBe(trialsOfSearch + 2);
    expect((await choicesOf('ema', { searchesParts: false })).choices).toBeUndefined();
    expect((await choicesOf('ema', { trained: { ema: { decay: 0.95 } } })).choices).toBeUndefined();
    expect((await choicesOf('lora')).choices).toEqual({ 'lora.rank': [16, 4, 64] });
    expect((await choicesOf('dora', { trained: { dora: { alpha: 8 } } })).choices).toEqual({
      'dora.rank': [16, 4, 64],
    });
    expect((await choicesOf('lora', { trained: { lora: { rank: 8 } } })).choices).toBeUndefined();
    const partly = (options: object) =>
      choicesOf('clip-partly', { transforms: { 'clip-partly': { topK: 2, ...options } } });
    expect((await partly({})).choices).toEqual({ 'clip-partly.share': [0.5, 0.25, 0.75] });
    expect((await partly({ share: 0.4 })).choices).toBeUndefined();
    // What hardly changes anything is no attack.
    for (const [name, option, values] of [
      ['quantize', 'bits', [4, 3, 6]],
      ['prune', 'share', [0.5, 0.25, 0.75]],
      ['noise', 'scale', [0.1, 0.3, 1]],
    ] as const) {
      const given = (options: object) => choicesOf(name, { transforms: { [name]: options } });
      expect((await given({})).choices).toEqual({ [`${name}.${option}`]: values });
      expect((await given({ [option]: values[1] })).choices).toBeUndefined();
    }
    const parent = { interpolate: { parent: targets().unlocked } };
    expect((await choicesOf('interpolate', { transforms: parent })).choices).toEqual({
      'interpolate.weight': [0.5, 0.25, 0.75, 1],
    });
    const transforms = (distil: object) => ({ transforms: { distil } });
    const temperature = { 'distil.temperature': [1, 2, 4] };
    const shares = await choicesOf('distil', transforms({}));
    expect(shares.choices).toEqual({ 'distil.share': [0.5, 0.25, 0.75], ...temperature });
    expect(trialCount(shares)).toBe(trialsOfSearch + 4);
    expect((await choicesOf('distil', transforms({ share: 0.5 }))).choices).toEqual(temperature);
    // Three quarters of 6 steps are 5: the trials of the search have no more.
    const shorter = await choicesOf('distil', transforms({ temperature: 1 }), { searchSteps: 5 });
    expect(shorter.choices).toEqual({ 'distil.share': [0.5, 0.25] });
    const space = async (attack: string, name: 'sobol' | 'asha') =>
      Object.keys((await choicesOf(attack, transforms({}), { search: { name, trials: 4 } })).method?.space ?? {});
    expect(await space('ema', 'asha')).toEqual(['learningRate', 'ema.decay']);
    expect(await space('distil', 'sobol')).toEqual(['learningRate', 'distil.share', 'distil.temperature']);
    expect(await space('distil', 'asha')).toEqual(['learningRate']);
  });

  it('tries what it searches: other ranks, other shares of a parent', async () => {
    const { transforms: _, ...own } = planOf('lora', { searchSeeds: [7], seeds: [1] });
    const from = {
      ...{ ...own, attacks: ['lora', 'interpolate'], searchesParts: true },
      transforms: { interpolate: { parent: targets().unlocked } },
    };
    const { rows } = await attackJob(targets(), from, contextOf().context);
    for (const [kind, name, values] of [
      ['lora', 'lora.rank', [16, 4, 64]],
      ['interpolate', 'interpolate.weight', [0.5, 0.25, 0.75, 1]],
    ] as const) {
      const { search } = rows.find((row) => row.kind === kind)?.result ?? { search: [] };
      const tried = new Map(search.map((trial) => [trial.point?.[name], trial.curve.at(-1)?.score]));
      expect([...tried.keys()]).toEqual(values);
      // At the same rate: were it not used, they would be the same run.
      const { learningRate } = search.at(-1) ?? { learningRate: 0 };
      const runs = search.filter((trial) => trial.learningRate === learningRate);
      expect(new Set(runs.map(({ metrics }) => JSON.stringify(metrics))).size).toBe(values.length);
    }
  });

  it('leaves out an attack whose healing leaves no step of a trial, before anything is run', async () => {
    // A quarter of 6 steps are 2: as many as the trials of the search have.
    const { tasks, notes } = await labelledTasks(targets(), planOf('heal', { searchSteps: 2 } as object));
    expect(tasks.map(({ facts }) => facts.kind)).toEqual(['frozen']);
    expect(notes).toEqual([
      'heal is not tried: it does not fit the budget, since it takes 2 steps before a trial of 2.',
    ]);
    const fitting = await labelledTasks(targets(), planOf('heal', { searchSteps: 3 } as object));
    expect(fitting.tasks.map(({ facts }) => facts.kind)).toEqual(['frozen', 'heal']);
  });

  it('says which attacks were plain fine-tuning, as a transform found nothing to change', async () => {
    const from = {
      ...planOf('clip-edge'),
      attacks: ['clip-edge', 'reset-dormant', 'quantize'],
      transforms: { 'clip-edge': { factor: 9 }, 'reset-dormant': { threshold: 0, examples: 20 }, quantize: {} },
    };
    const { rows, notes } = await attackJob(targets(), from, contextOf().context);
    expect(notes).toEqual([
      'In 8 of 8 trials of score-clip-edge-adamw-locked: clip-edge found nothing to change.',
      // Of other seeds' examples a unit is dead on all.
      'In 6 of 8 trials of score-reset-dormant-adamw-locked: reset-dormant found nothing to change.',
    ]);
    // What it writes can be read back.
    const { result } = rows.find(({ kind }) => kind === 'clip-edge') ?? rows[0];
    expect(searchForm.parse(JSON.parse(JSON.stringify(result))).trials[0].before).toEqual(result.trials[0].before);
    expect(result.trials[0].before?.notes).toEqual(['clip-edge found nothing to change']);
  });

  it('says in the row how many of the reported trials failed, and why', () => {
    const trial = { learningRate: 1, curve: [], metrics: {}, evaluations: 0 };
    const trials = [
      { ...trial, seed: 1, score: 0.5, end: 'diverged' as const },
      { ...trial, seed: 2, score: Number.NaN, end: 'failed' as const, failure: 'no memory' },
    ];
    const results = new Map([['one', { search: [], learningRate: 1, trials }]]);
    const facts = {} as AttackFacts;
    const task = { id: 'one', start: { kind: 'random', like: '' }, optimizer: { name: 'sgd' }, steps: 4 } as AttackTask;
    const [row] = rowsOf([{ facts, measures: ['score'], task }], results);
    expect(row.missing).toEqual({ failed: 1, of: 2, reason: 'no memory' });
  });
});
