import { loadData } from '../../data/index.js';
import { mean } from '../../linalg/index.js';
import { isGuessing, keepsProbabilities, keepsUtility, share } from './claims.js';
import { lastScores, runnerOf } from './common.js';
import {
  type Claim,
  type Reproduction,
  type ResultCell,
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
  readonly attackEpochs: number;
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
    course: { trainEpochs: 0.1, lockEpochs: 0.1, lockRate: 2e-4, alpha: 0.99, topK: 2 },
    attackEpochs: 1,
    rates: [1e-3, 1e-5],
    budget: { batchSize: textBatch, searchSeeds: [11], seeds: [1], evaluationSpacing: 4 },
  },
  small: {
    maxLength: 96,
    course: { trainEpochs: 3, lockEpochs: 3, lockRate: 2e-4, alpha: 0.99, topK: 2 },
    attackEpochs: 3,
    rates: decades,
    budget: { batchSize: textBatch, searchSeeds: [11], seeds: [1], evaluationSpacing: 2 },
  },
  paper: {
    maxLength: 256,
    course: { trainEpochs: 3, lockEpochs: 10, lockRate: textRate, alpha: 0.99, topK: 2 },
    attackEpochs: 3,
    rates: decades,
    budget: { batchSize: textBatch, searchSeeds: [11], seeds: [1, 2, 3], evaluationSpacing: 2 },
  },
};

const source = 'paper, Figure 3';

/** `fig3`: a model locked on MRPC, trained on RTE at learning rates of five decades. */
export const fig3: Reproduction = {
  name: 'fig3',
  description: 'a language model locked on MRPC, then trained on RTE at learning rates from 1e-3 to 1e-8 (Figure 3)',
  data: ['mrpc', 'rte', 'models/all-minilm-l6-v2'],
  scales: scalesOf(settings),
  canSkipSweep: false,
  async run(scale, context) {
    const { limit, attackLimit, testLimit, maxLength, course, attackEpochs, rates, budget } = settingsOf(
      settings,
      scale,
    );
    const runner = runnerOf(context);
    const [model] = presentModels(context, models);
    const mrpc = textsOf(context, model, 'mrpc', { maxLength, limit, testLimit });
    const made = await lockedClassifier(runner, context, model, mrpc, course);
    const data = textsOf(context, model, 'rte', { maxLength, limit: attackLimit, testLimit });
    const { train, test } = await loadData(data);
    const steps = Math.max(1, Math.round((attackEpochs * train.size) / textBatch));
    const positives = test.labels.reduce((sum, label) => sum + label, 0) / test.size;
    const guessing = Math.max(positives, 1 - positives);
    const cells: { unlocked: ResultCell[]; locked: ResultCell[] } = { unlocked: [], locked: [] };
    for (const rate of rates) {
      const goal = { label: `rte-${rate.toExponential(0)}`, data, target: 1 };
      const plan = singleSetting(goal, { ...textOptimizer, learningRate: rate }, { ...budget, steps });
      const { rows } = await runner.attack(made.paths, plan);
      for (const which of ['unlocked', 'locked'] as const) cells[which].push({ ours: lastScores(rows, which) });
    }
    const best = (which: 'unlocked' | 'locked') => Math.max(...cells[which].map(({ ours }) => mean(ours)));
    const [unlocked, locked] = [best('unlocked'), best('locked')];
    const finding = `best of ${rates.length} rates: unlocked ${share(unlocked)}, locked ${share(locked)}, guessing ${share(guessing)}; n = ${budget.seeds.length} seeds, ${test.size} test pairs`;
    const text = 'At none of the learning rates the locked model learns RTE, where the unlocked one does.';
    const learns = !isGuessing(unlocked, guessing, test.size);
    const left = (locked - guessing) / (unlocked - guessing);
    const claim: Claim = learns
      ? { text, source, verdict: left <= 0.25 ? 'holds' : 'fails', finding }
      : { text, source, verdict: 'unmeasured', finding: `the unlocked model cannot be told from guessing: ${finding}` };
    return {
      name: 'fig3',
      title: 'Figure 3: a lock over learning rates',
      scale,
      setup: [
        `${model.label} with a new classifier, trained on ${made.parts.train.size} pairs of MRPC for ${course.trainEpochs} epochs and locked for ${course.lockEpochs} (α ${course.alpha}, k ${course.topK}, learning rate ${course.lockRate}), σ1 from ${made.sigma.before.toFixed(1)} to ${made.sigma.after.toFixed(1)} at most.`,
        `Then ${steps} steps of RTE at each learning rate: AdamW, weight decay 0.01, falling linearly, batches of ${textBatch}, ${train.size} pairs, cut at ${maxLength} tokens.`,
      ],
      tables: [
        {
          title: 'RTE after training, by learning rate',
          columns: rates.map((rate) => rate.toExponential(0)),
          rates: { values: rates, metric: 'accuracy', guessing },
          rows: [
            { label: model.label, cells: cells.unlocked },
            { label: `${model.label}, SpecDef`, cells: cells.locked },
          ],
        },
      ],
      utility: { [model.label]: made.utility },
      attacks: [],
      claims: [
        keepsUtility(`MRPC (${model.label})`, source, made.utility),
        keepsProbabilities(`MRPC (${model.label})`, made.utility),
        claim,
      ],
      notes: [...runner.notes],
      seconds: runner.seconds,
    };
  },
};
