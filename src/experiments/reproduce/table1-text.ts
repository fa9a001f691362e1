import { type AttackOptimizer, attacksOfSuite } from '../../attacks/index.js';
import { loadData } from '../../data/index.js';
import type { Evaluation } from '../../tasks/index.js';
import type { UtilityChange } from '../utility.js';
import { claimsOfSearch, counted, keepsBoth, overDraws, preventsAtSetting } from './claims.js';
import { assessed, cellOf, drawsSentence, endings, runnerOf } from './common.js';
import { sigmaInWords, utilityByDraw } from './drawn-locks.js';
import { guessingOf, pairTasks } from './pair-tasks.js';
import {
  type Claim,
  type Reproduction,
  type ResultAttack,
  type ResultCell,
  type SettingsByScale,
  scalesOf,
  settingsOf,
} from './reproduction.js';
import { adaptiveTransforms, type SweepSettings, singleSetting, sweep } from './sweep.js';
import {
  lockedClassifier,
  presentModels,
  type TextCourse,
  type TextModel,
  textBatch,
  textOptimizer,
  textRate,
  textsOf,
} from './text-models.js';

const models: readonly TextModel[] = [
  { label: 'MiniLM', folder: 'all-minilm-l6-v2' },
  { label: 'SmolLM2', folder: 'smollm2-135m-instruct' },
  { label: 'DeBERTa', folder: 'deberta-v3-xsmall' },
];

interface Settings extends SweepSettings {
  /** Models by their folder, where none are chosen; those of them that are there. */
  readonly models: readonly string[];
  /** Names of the tasks. */
  readonly tasks: readonly string[];
  /** Training and lock on MRPC. */
  readonly course: TextCourse;
  /** Epochs of each attack. */
  readonly attackEpochs: number;
  /** Training examples of each attack. */
  readonly attackLimit: number;
  /** Most tokens of a pair of sentences; longer ones are cut. */
  readonly maxLength: number;
}

const adamw = (decades: readonly number[]): AttackOptimizer => ({ ...textOptimizer, decades });

const settings: SettingsByScale<Settings> = {
  smoke: {
    models: ['all-minilm-l6-v2'],
    tasks: ['qqp'],
    course: { trainEpochs: 0.1, lockEpochs: 0.1, lockRate: 2e-4, alpha: 0.99, topK: 2, draws: 2 },
    attackEpochs: 1,
    limit: 80,
    attackLimit: 32,
    testLimit: 32,
    maxLength: 32,
    budget: { batchSize: textBatch, searchSeeds: [11], seeds: [1], evaluationSpacing: 4, refine: false },
    optimizers: [adamw([-4])],
  },
  small: {
    models: ['all-minilm-l6-v2'],
    // In an epoch of 1,500 pairs MiniLM learns nothing of QNLI, and of RTE not in three of all.
    tasks: ['qqp'],
    course: { trainEpochs: 3, lockEpochs: 3, lockRate: 2e-4, alpha: 0.99, topK: 2, draws: 3, withSham: true },
    attackEpochs: 1,
    attackLimit: 1500,
    testLimit: 400,
    maxLength: 96,
    budget: { batchSize: textBatch, searchSeeds: [11], seeds: [1, 2, 3], evaluationSpacing: 4, refine: false },
    optimizers: [adamw([-4, -3, -5])],
  },
  paper: {
    models: ['all-minilm-l6-v2', 'smollm2-135m-instruct', 'deberta-v3-xsmall'],
    tasks: ['rte', 'qqp', 'qnli'],
    course: { trainEpochs: 3, lockEpochs: 10, lockRate: textRate, alpha: 0.99, topK: 2, draws: 3, withSham: true },
    attackEpochs: 3,
    attackLimit: 5000,
    maxLength: 256,
    budget: { batchSize: textBatch, searchSeeds: [11], seeds: [1, 2, 3], evaluationSpacing: 1.5 },
    optimizers: [adamw([-4, -3, -5, -6])],
  },
};

/** The paper's Table 1, lower part. */
const paper: Readonly<Record<string, Readonly<Record<string, { unlocked: number; locked: number }>>>> = {
  DeBERTa: {
    MRPC: { unlocked: 0.9, locked: 0.9 },
    RTE: { unlocked: 0.69, locked: 0.52 },
    QQP: { unlocked: 0.83, locked: 0.42 },
    QNLI: { unlocked: 0.85, locked: 0.45 },
  },
  SmolLM2: {
    MRPC: { unlocked: 0.85, locked: 0.84 },
    RTE: { unlocked: 0.71, locked: 0.52 },
    QQP: { unlocked: 0.71, locked: 0.2 },
    QNLI: { unlocked: 0.84, locked: 0.52 },
  },
};

const source = 'paper, Table 1';

/** F1 of the second class, as the paper gives it for MRPC and QQP. */
function f1({ metrics }: Evaluation): number {
  return metrics['f1.1'] ?? Number.NaN;
}

/** `table1-text`: language models trained and locked on MRPC, then fine-tuned on other pairs of sentences. */
export const table1Text: Reproduction = {
  name: 'table1-text',
  description:
    "language models trained and locked on MRPC, then fine-tuned on other tasks of GLUE (the paper's Table 1, text)",
  data: ['mrpc', 'rte', 'qqp', 'qnli', 'models/all-minilm-l6-v2', 'models/smollm2-135m-instruct'],
  scales: scalesOf(settings),
  canSkipSweep: true,
  models: Object.fromEntries(models.map(({ folder }) => [folder, [`models/${folder}`]])),
  async run(scale, context) {
    const { course, attackEpochs, attackLimit, limit, testLimit, maxLength, ...rest } = settingsOf(settings, scale);
    const runner = runnerOf(context);
    const withSweep = context.sweep === 'full';
    const claims: Claim[] = [];
    const attacks: ResultAttack[] = [];
    const utility: Record<string, UtilityChange> = {};
    const rows: { label: string; cells: ResultCell[] }[] = [];
    const setup: string[] = [];
    const wanted = pairTasks.filter(({ name }) => rest.tasks.includes(name));
    const chosen = context.models ?? rest.models;
    for (const model of presentModels(
      context,
      models.filter(({ folder }) => chosen.includes(folder)),
    )) {
      const { label } = model;
      const mrpc = textsOf(context, model, 'mrpc', { maxLength, limit, testLimit });
      const made = await lockedClassifier(runner, context, model, mrpc, {
        ...course,
        withSham: withSweep && course.withSham,
      });
      const byDraw = utilityByDraw(label, made);
      const claim = (...found: readonly Claim[]) => claims.push(...overDraws(made.utilities.length, found));
      Object.assign(utility, byDraw);
      setup.push(`${label}: ${made.parts.train.size} pairs of MRPC, ${sigmaInWords(made)}.`);
      claim(...keepsBoth('MRPC', source, byDraw));
      const onMrpc = {
        unlocked: made.utilities.slice(0, 1).map(({ before }) => f1(before.float32)),
        locked: made.utilities.map(({ after }) => f1(after.float32)),
      };
      const cells = { unlocked: [] as ResultCell[], locked: [] as ResultCell[] };
      for (const { name, label: task, metric, target } of wanted) {
        const data = textsOf(context, model, name, { maxLength, limit: attackLimit, testLimit });
        const { train, test } = await loadData(data);
        const steps = Math.max(1, Math.round((attackEpochs * train.size) / textBatch));
        const budget = { ...rest.budget, steps };
        const goal = { label: `${model.folder}-${name}`, data, target, metric };
        const guessing = guessingOf(test, metric);
        const { rows: single } = await runner.attack(
          made.paths,
          singleSetting(goal, { ...textOptimizer, learningRate: textRate }, budget),
        );
        const ended = { unlocked: endings(single, 'unlocked', guessing), locked: endings(single, 'locked', guessing) };
        for (const which of ['unlocked', 'locked'] as const) {
          cells[which].push(cellOf(ended[which], paper[label]?.[task]?.[which]));
        }
        const what = `${task} (${label})`;
        const setting = `AdamW at learning rate ${textRate} (the paper's setting), ${steps} steps`;
        claim(preventsAtSetting({ task: what, setting, source, guessing }, ended.unlocked, ended.locked));
        if (!withSweep) continue;
        const transforms = { ...adaptiveTransforms(course), canonicalize: {} };
        const plan = sweep(goal, rest.optimizers, budget, { transforms, adaptiveOptimizers: 1 });
        const tried = [...attacksOfSuite('quick'), 'canonicalize'];
        const { rows: found } = await runner.attack(made.paths, { ...plan, attacks: tried });
        const title = metric === 'accuracy' ? 'accuracy' : 'F1';
        const result = assessed({ task: what, metric: title, target, guessing }, found);
        attacks.push(result);
        claim(...claimsOfSearch(result, 'paper, Section 3 and Figure 3 (effective across learning rates)'));
      }
      for (const which of ['unlocked', 'locked'] as const) {
        const own: ResultCell = { paper: paper[label]?.MRPC?.[which], ours: onMrpc[which] };
        rows.push({ label: which === 'unlocked' ? label : `${label}, SpecDef`, cells: [own, ...cells[which]] });
      }
    }
    return {
      name: 'table1-text',
      title: 'Table 1 (text): a lock against unauthorized training of language models',
      scale,
      setup: [
        ...setup,
        `A new classifier; trained for ${course.trainEpochs} epochs of MRPC with AdamW ${textRate}, weight decay 0.01, falling linearly, batches of ${textBatch}; locked for ${course.lockEpochs} epochs with the same course, α ${course.alpha}, k ${course.topK}, learning rate ${course.lockRate} (the paper gives none), retain loss of the task and KL to the original, without a utility budget. Texts are cut at ${maxLength} tokens.`,
        drawsSentence(course.draws),
        `Attacks: ${counted(attackEpochs, 'epoch')} over at most ${attackLimit} pairs of each task, ${counted(rest.budget.seeds.length, 'seed')}${!withSweep ? ", at the paper's one setting and without a search. GLUE's validation texts are the test texts." : `, the same trials and steps for the unlocked model, the locked one, the locked one with its raised singular values clipped or its symmetries canonicalized (heads balanced, gains of norms folded: exact), sham-locked ones (all of the lock's training without its push on singular values), and random weights; frozen use beside them, of the pair or of each text alone (u, v, |u − v|, u ∘ v), by cross-validation. GLUE's validation texts are the test texts.`}`,
      ],
      tables: [
        {
          title: `After fine-tuning with the paper's setting (AdamW ${textRate}); F1 for MRPC and QQP`,
          columns: ['MRPC', ...wanted.map(({ label }) => label)],
          rows,
        },
      ],
      utility,
      attacks,
      claims,
      notes: [...runner.notes],
      seconds: runner.seconds,
    };
  },
};
