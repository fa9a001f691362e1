import { loadData } from '../../data/index.js';
import { counted, keepsBoth, overDraws, preventsAtAllRates } from './claims.js';
import { cellOf, drawsSentence, endings, runnerOf, shamsSentence } from './common.js';
import { sigmaInWords, utilityByDraw } from './drawn-locks.js';
import { guessingOf, type PairTask, pairTasks } from './pair-tasks.js';
import {
  type Claim,
  type Reproduction,
  type ResultCell,
  type ResultTable,
  type SettingsByScale,
  scalesOf,
  settingsOf,
} from './reproduction.js';
import { type SweepBudget, singleSetting } from './sweep.js';
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
  { label: 'DeBERTa', folder: 'deberta-v3-xsmall' },
  { label: 'MiniLM', folder: 'all-minilm-l6-v2' },
];

interface Settings {
  readonly limit?: number;
  readonly attackLimit?: number;
  readonly testLimit?: number;
  readonly maxLength: number;
  readonly course: TextCourse;
  /** Tasks trained on after the lock, by name: for how many epochs. */
  readonly attacks: Readonly<Partial<Record<PairTask['name'], { epochs: number }>>>;
  readonly rates: readonly number[];
  readonly budget: Omit<SweepBudget, 'steps'>;
}

/** The paper's: 1e-3 to 1e-8. */
const decades = [-3, -4, -5, -6, -7, -8].map((exponent) => 10 ** exponent);

const settings: SettingsByScale<Settings> = {
  smoke: {
    limit: 80,
    attackLimit: 32,
    testLimit: 32,
    maxLength: 32,
    course: { trainEpochs: 0.1, lockEpochs: 0.1, lockRate: 2e-4, alpha: 0.99, topK: 2, withSham: true },
    attacks: { rte: { epochs: 1 }, qqp: { epochs: 1 } },
    rates: [1e-3, 1e-5],
    budget: { batchSize: textBatch, searchSeeds: [11], seeds: [1], evaluationSpacing: 4 },
  },
  small: {
    maxLength: 96,
    course: { trainEpochs: 3, lockEpochs: 3, lockRate: 2e-4, alpha: 0.99, topK: 2, draws: 3, withSham: true },
    // MiniLM learns nothing of RTE in three epochs, at no rate and locked or not; of QQP one is enough.
    attacks: { qqp: { epochs: 1 } },
    rates: decades,
    budget: { batchSize: textBatch, searchSeeds: [11], seeds: [1, 2, 3], evaluationSpacing: 2 },
  },
  paper: {
    maxLength: 256,
    course: { trainEpochs: 3, lockEpochs: 10, lockRate: textRate, alpha: 0.99, topK: 2, draws: 3, withSham: true },
    attacks: { rte: { epochs: 3 }, qqp: { epochs: 3 } },
    rates: decades,
    budget: { batchSize: textBatch, searchSeeds: [11], seeds: [1, 2, 3], evaluationSpacing: 2 },
  },
};

const source = 'paper, Figure 3';
/** What is trained, at each rate. */
const attacked = ['unlocked', 'locked', 'sham-locked'] as const;

/** `fig3`: a model locked on MRPC, trained on RTE, and beside it on QQP, at learning rates of five decades. */
export const fig3: Reproduction = {
  name: 'fig3',
  description:
    'a language model locked on MRPC, then trained on RTE and on QQP at learning rates from 1e-3 to 1e-8 (Figure 3)',
  data: ['mrpc', 'rte', 'qqp', 'models/all-minilm-l6-v2'],
  scales: scalesOf(settings),
  canSkipSweep: false,
  async run(scale, context) {
    const { limit, attackLimit, testLimit, maxLength, course, attacks, rates, budget } = settingsOf(settings, scale);
    const runner = runnerOf(context);
    const [model] = presentModels(context, models);
    const mrpc = textsOf(context, model, 'mrpc', { maxLength, limit, testLimit });
    const made = await lockedClassifier(runner, context, model, mrpc, course);
    const utility = utilityByDraw(model.label, made);
    const tables: ResultTable[] = [];
    const claims: Claim[] = [];
    const courses: string[] = [];
    for (const { name, label, metric } of pairTasks) {
      const attack = attacks[name];
      if (!attack) continue;
      const { epochs } = attack;
      const data = textsOf(context, model, name, { maxLength, limit: attackLimit, testLimit });
      const { train, test } = await loadData(data);
      const steps = Math.max(1, Math.round((epochs * train.size) / textBatch));
      const guessing = guessingOf(test, metric);
      const cells: Record<(typeof attacked)[number], ResultCell[]> = { unlocked: [], locked: [], 'sham-locked': [] };
      for (const rate of rates) {
        const goal = { label: `${name}-${rate.toExponential(0)}`, data, target: 1, metric };
        const plan = singleSetting(goal, { ...textOptimizer, learningRate: rate }, { ...budget, steps });
        const { rows } = await runner.attack(made.paths, { ...plan, plainFrom: attacked });
        for (const which of attacked) {
          cells[which].push(cellOf(endings(rows, which, guessing)));
        }
      }
      courses.push(`${steps} steps of ${label} (${train.size} pairs, ${counted(budget.seeds.length, 'seed')})`);
      const title = metric === 'accuracy' ? 'accuracy' : 'F1';
      tables.push({
        title: `${label} after training, by learning rate`,
        columns: rates.map((rate) => rate.toExponential(0)),
        rates: { name: `${name}-rates`, values: rates, metric: title, guessing },
        rows: [
          { label: model.label, cells: cells.unlocked },
          { label: `${model.label}, SpecDef`, cells: cells.locked },
          { label: `${model.label}, sham lock`, cells: cells['sham-locked'] },
        ],
      });
      claims.push(preventsAtAllRates({ task: label, metric: title, source, guessing, pairs: test.size }, cells));
    }
    return {
      name: 'fig3',
      title: 'Figure 3: a lock over learning rates',
      scale,
      setup: [
        `${model.label} with a new classifier, trained on ${made.parts.train.size} pairs of MRPC for ${course.trainEpochs} epochs and locked for ${course.lockEpochs} (α ${course.alpha}, k ${course.topK}, learning rate ${course.lockRate}), ${sigmaInWords(made)}.`,
        drawsSentence(course.draws),
        shamsSentence,
        `Then ${courses.join(', or ')} at each learning rate: AdamW, weight decay 0.01, falling linearly, batches of ${textBatch}, cut at ${maxLength} tokens.`,
      ],
      tables,
      utility,
      attacks: [],
      claims: overDraws(made.utilities.length, [...keepsBoth('MRPC', source, utility), ...claims]),
      notes: [...runner.notes],
      seconds: runner.seconds,
    };
  },
};
