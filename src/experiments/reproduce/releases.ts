import { type AttackRow, scores } from '../../attacks/index.js';
import { loadData } from '../../data/index.js';
import { mean, ratioInterval } from '../../linalg/index.js';
import { tasks } from '../../tasks/index.js';
import { counted, share } from './claims.js';
import { runnerOf } from './common.js';
import { guessingOf, pairTasks } from './pair-tasks.js';
import {
  type Claim,
  type Reproduction,
  type ResultCell,
  type SettingsByScale,
  scalesOf,
  settingsOf,
} from './reproduction.js';
import { type SweepSettings, sweep } from './sweep.js';
import {
  presentModels,
  releasedAsIs,
  type TextModel,
  textBatch,
  textOptimizer,
  textRate,
  textsOf,
  trainedClassifier,
} from './text-models.js';

const models: readonly TextModel[] = [{ label: 'MiniLM', folder: 'all-minilm-l6-v2' }];

interface Settings extends SweepSettings {
  /** Names of the tasks. */
  readonly tasks: readonly string[];
  /** Epochs of training on MRPC that make the narrow release. */
  readonly trainEpochs: number;
  /** Epochs of each attack. */
  readonly attackEpochs: number;
  /** Training examples of each attack. */
  readonly attackLimit?: number;
  /** Most tokens of a pair of sentences; longer ones are cut. */
  readonly maxLength: number;
}

const settings: SettingsByScale<Settings> = {
  smoke: {
    tasks: ['qqp'],
    trainEpochs: 0.1,
    attackEpochs: 1,
    limit: 80,
    attackLimit: 32,
    testLimit: 32,
    maxLength: 32,
    budget: { batchSize: textBatch, searchSeeds: [11], seeds: [1], evaluationSpacing: 4, refine: false },
    optimizers: [{ ...textOptimizer, decades: [-4] }],
  },
  small: {
    // 1,500 pairs of QNLI teach MiniLM nothing in an epoch (Table 1, text).
    tasks: ['qqp'],
    trainEpochs: 3,
    attackEpochs: 1,
    attackLimit: 1500,
    testLimit: 400,
    maxLength: 96,
    budget: { batchSize: textBatch, searchSeeds: [11], seeds: [1, 2, 3], evaluationSpacing: 4, refine: false },
    optimizers: [{ ...textOptimizer, decades: [-4, -3] }],
  },
  paper: {
    tasks: ['rte', 'qqp', 'qnli'],
    trainEpochs: 3,
    attackEpochs: 3,
    attackLimit: 5000,
    maxLength: 256,
    budget: { batchSize: textBatch, searchSeeds: [11], seeds: [1, 2, 3], evaluationSpacing: 1.5 },
    optimizers: [{ ...textOptimizer, decades: [-4, -3, -5] }],
  },
};

/** What an attacker can do with a release, by the name of the attack, in the order of the table. */
const uses = [
  { kind: 'frozen', label: 'outputs alone' },
  { kind: 'white-box', label: 'hidden layers' },
  { kind: 'fine-tune', label: 'fine-tuned' },
] as const;

const classification = tasks.get('classification');

/** A release whose outputs give at least this share of what its weights give is rich, and at most the other one narrow. */
const [richShare, narrowShare] = [0.75, 0.25];

/** `releases`: what an attacker has of a rich and of a narrow release before there is any lock. */
export const releases: Reproduction = {
  name: 'releases',
  description:
    'what embeddings and the logits of one classifier give an attacker without the weights, and with them (ours)',
  data: ['mrpc', 'rte', 'qqp', 'qnli', 'models/all-minilm-l6-v2'],
  scales: scalesOf(settings),
  canSkipSweep: false,
  async run(scale, context) {
    const { tasks, trainEpochs, attackEpochs, attackLimit, limit, testLimit, maxLength, ...rest } = settingsOf(
      settings,
      scale,
    );
    const runner = runnerOf(context);
    const [model] = presentModels(context, models);
    const mrpc = textsOf(context, model, 'mrpc', { maxLength, limit, testLimit });
    const kinds = [
      { name: 'rich', what: `${model.label}, embeddings`, made: await releasedAsIs(runner, context, model) },
      {
        name: 'narrow',
        what: `${model.label}, classifier of MRPC`,
        made: (await trainedClassifier(runner, context, model, mrpc, trainEpochs)).made,
      },
    ];
    const wanted = pairTasks.filter(({ name }) => tasks.includes(name));
    const found = new Map<string, readonly AttackRow[]>();
    const guessing: ResultCell[] = [];
    const claims: Claim[] = [];
    for (const { name, label, metric, target } of wanted) {
      const data = textsOf(context, model, name, { maxLength, limit: attackLimit, testLimit });
      const { train, test } = await loadData(data);
      const budget = { ...rest.budget, steps: Math.max(1, Math.round((attackEpochs * train.size) / textBatch)) };
      const guess = guessingOf(test, metric);
      guessing.push({ ours: [guess] });
      for (const { name: kind, made } of kinds) {
        const goal = { label: `${kind}-${name}`, data, target, metric };
        const head = made.model.head.kind === classification.head ? undefined : classification.headFor(train);
        // Without an unlocked model beside it: what is released here was not locked.
        const { rows } = await runner.attack({ locked: made.path, head }, sweep(goal, rest.optimizers, budget));
        found.set(`${kind} ${name}`, rows);
        claims.push(worthOfOutputs(kind, label, rows, guess));
      }
    }
    const cell = (kind: string, task: string, attack: string, start = 'locked'): ResultCell => {
      const row = found.get(`${kind} ${task}`)?.find((one) => one.kind === attack && one.start === start);
      return { ours: row ? scores(row) : [] };
    };
    const rows = kinds.flatMap(({ name, what }) =>
      uses.map(({ kind, label }) => ({
        label: `${what}: ${label}`,
        cells: wanted.map((task) => cell(name, task.name, kind)),
      })),
    );
    const random = uses
      .filter(({ kind }) => kind !== 'frozen')
      .map(({ kind, label }) => ({
        label: `random weights: ${label}`,
        cells: wanted.map((task) => cell('rich', task.name, kind, 'random weights')),
      }));
    return {
      name: 'releases',
      title: 'What a release gives away: outputs, hidden layers, weights',
      scale,
      setup: [
        `Rich release: ${model.label} as it is published, which gives embeddings. Narrow release: the same model trained for ${trainEpochs} epochs on ${mrpc.limit ?? 'all'} pairs of MRPC, which gives two logits. Neither is locked.`,
        `Outputs alone and hidden layers: a logistic regression on them, or on those of each text alone (u, v, |u − v|, u ∘ v); which of the two, and its penalty, by cross-validation. Fine-tuned: ${counted(attackEpochs, 'epoch')} of AdamW at the best learning rate of a search, batches of ${textBatch}, at most ${attackLimit} pairs of each task, ${counted(rest.budget.seeds.length, 'seed')} (the paper's rate: ${textRate}). Texts are cut at ${maxLength} tokens.`,
      ],
      tables: [
        {
          title: 'Score by what an attacker uses; F1 for QQP, accuracy for the others',
          columns: wanted.map(({ label }) => label),
          rows: [...rows, ...random, { label: 'guessing', cells: guessing }],
        },
      ],
      utility: {},
      attacks: [],
      claims,
      notes: [...runner.notes],
      seconds: runner.seconds,
    };
  },
};

/** What the outputs of a release are worth beside its weights, as shares of what fine-tuning gains over guessing. */
function worthOfOutputs(kind: string, task: string, rows: readonly AttackRow[], guessing: number): Claim {
  const [outputs, weights] = ['frozen', 'fine-tune'].map((name) => {
    const row = rows.find((one) => one.kind === name && one.start === 'locked');
    return row ? scores(row).map((score) => score - guessing) : [];
  });
  const rich = kind === 'rich';
  const text = rich
    ? `A rich release leaves an attacker of ${task} little to gain from the weights: its outputs alone give at least three quarters of what fine-tuning gains.`
    : `A narrow release keeps its worth in the weights: for ${task} its outputs alone give at most a quarter of what fine-tuning gains.`;
  const source = 'weightlock';
  const { ratio, low, high, n } = ratioInterval(outputs, weights);
  const gains = `outputs ${share(mean(outputs))} above guessing, fine-tuning ${share(mean(weights))}, n = ${counted(n, 'seed')}`;
  if (low === undefined || high === undefined) {
    return { text, source, verdict: 'unmeasured', finding: `fine-tuning cannot be told from guessing: ${gains}` };
  }
  const finding = `${share(ratio)} (${share(low)} to ${share(high)}) of the gain: ${gains}`;
  const holds = rich ? low >= richShare : high <= narrowShare;
  const fails = rich ? high < richShare : low > narrowShare;
  const verdict = holds ? 'holds' : fails ? 'fails' : 'unmeasured';
  return { text, source, verdict, finding: verdict === 'unmeasured' ? `too few seeds to tell: ${finding}` : finding };
}
