import { type DataSpec, dataSpec, loadData } from '../../data/index.js';
import { type HeadNeed, initializeModel } from '../../models/index.js';
import { tasks } from '../../tasks/index.js';
import { trainOptions } from '../jobs/train.js';
import type { MadeModel, Runner, TaskData } from '../run/index.js';
import { examplesOf } from './common.js';
import { pairTasks } from './pair-tasks.js';
import type { ReproductionContext } from './reproduction.js';
import type { SweepGoal } from './sweep.js';
import { releasedAsIs, type TextModel, textsOf, trainedClassifier } from './text-models.js';

/** A model that locks are compared on, with its two tasks. */
export interface FrontierModel {
  /** Its name in settings and files. */
  readonly name: string;
  /** What tables call it. */
  readonly label: string;
  /** What it is, what it may do and what an attacker is after, in a sentence. */
  readonly what: string;
  /** The model whose locks it has, where they differ in the attacker's task alone, so that a run draws them once; default its own. */
  readonly locksOf?: string;
  /** Whether it takes part only where it is named, since one of its data sets must be made first; default no. */
  readonly onlyNamed?: boolean;
  /** Folders that it reads, within the folder of the data sets. */
  readonly reads: readonly string[];
  /** Makes or takes the unlocked model, and loads both tasks. */
  prepare(runner: Runner, context: ReproductionContext, limits: FrontierLimits): Promise<PreparedModel>;
}

/** How much of the data is used. */
export interface FrontierLimits {
  /** Training and test examples of the authorized task at most. */
  readonly limit?: number;
  readonly testLimit?: number;
  /** Test examples of the authorized task that utility is measured on, where that is cheap; default as many as `testLimit`. */
  readonly utilityTests?: number;
  /** Training examples of the unauthorized task, and of one that an owner trains against, at most. */
  readonly attackLimit?: number;
  /** Test examples of the unauthorized task at most: every trial is measured on them many times. */
  readonly attackTests?: number;
  /** Share of the usual training of a model that is not published. */
  readonly training?: number;
}

/** A model to lock, what its owner has, and what an attacker is after. */
export interface PreparedModel {
  /** The model as it is before any lock. */
  readonly unlocked: MadeModel;
  /** The authorized task; `test` is what utility is measured on. */
  readonly data: TaskData & { readonly test: NonNullable<TaskData['test']>; readonly spec: DataSpec };
  /** The unauthorized task. */
  readonly goal: Omit<SweepGoal, 'label'>;
  /** The head that it needs, where it is not the model's own: drawn anew. */
  readonly head?: HeadNeed;
  /** Another task that an attacker may be after, for locks that need one; never the one it is judged on. */
  readonly proxy?: DataSpec;
}

/** The network of the demo, on the digits that are embedded. */
const digitsCnn: FrontierModel = {
  name: 'digits-cnn',
  label: 'small CNN',
  what: "The demo's CNN, trained on the digits 0 to 4; the attacker has 20 images each of 5 to 9.",
  reads: [],
  async prepare(runner, { seed }, { limit, testLimit, attackTests, training = 1 }) {
    const digits = (classes: number[], limits: { limit?: number; testLimit?: number }) =>
      dataSpec.parse({ name: 'digits', classes, splitSeed: seed, ...limits });
    const spec = digits([0, 1, 2, 3, 4], { limit, testLimit });
    const data = { ...(await loadData(spec)), spec };
    const steps = Math.max(1, Math.round(training * 1500));
    const from = async () => initializeModel('cnn', { num_labels: 5 }, seed);
    const part = { name: 'digits-cnn-unlocked' };
    const unlocked = await runner.train(part, { from, data, options: trainOptions.parse({ steps }) });
    const goal = { data: digits([5, 6, 7, 8, 9], { testLimit: attackTests }), target: 0.85, perClass: 20 };
    return { unlocked, data, goal };
  },
};

/** Normalization that the published ResNets were trained with. */
const normalization = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** A published CIFAR-10 ResNet of the data folder. */
function published(architecture: string, label: string): FrontierModel {
  return {
    name: architecture,
    label,
    what: `${label}, as published for CIFAR-10; the attacker has Fashion-MNIST.`,
    reads: [`models/cifar10-${architecture}`, 'cifar10', 'fashion-mnist', 'kmnist'],
    async prepare(runner, context, { limit, testLimit, attackLimit, attackTests }) {
      const images = (name: string, more: Partial<DataSpec>) =>
        examplesOf(context, name, { size: 32, channels: 3, ...normalization, ...more });
      // As such networks are trained: what removes needs more images than the folder has.
      const spec = images('cifar10', { limit, testLimit, validationShare: 0.05, crop: 4, flip: true });
      const others = { limit: attackLimit, validationShare: 0.01 };
      const data = { ...(await loadData(spec)), spec };
      const from = `${context.data}/models/cifar10-${architecture}`;
      const unlocked = await runner.adopt({ name: `${architecture}-unlocked` }, from, { architecture });
      const goal = { data: images('fashion-mnist', { ...others, testLimit: attackTests }), target: 0.7 };
      return { unlocked, data, goal, proxy: images('kmnist', { ...others, testLimit }) };
    },
  };
}

const minilm: TextModel = { label: 'MiniLM', folder: 'all-minilm-l6-v2' };
const smollm2: TextModel = { label: 'SmolLM2', folder: 'smollm2-135m-instruct' };

/** What is said of a model of texts that locks are compared on. */
type TextFrontier = Omit<FrontierModel, 'reads' | 'prepare'> & {
  /** The attacker's data set. */
  readonly task: string;
};

/** A language model with a classifier of MRPC, a narrow release, and what an attacker is after. */
const narrow = (
  model: TextModel,
  { task, ...about }: TextFrontier,
  goalOf: Pick<SweepGoal, 'metric' | 'target'>,
): FrontierModel => ({
  ...about,
  reads: [`models/${model.folder}`, 'mrpc', task, 'qnli'],
  async prepare(runner, context, limits) {
    const { limit, testLimit, utilityTests = testLimit, attackLimit = 1500, attackTests, training = 1 } = limits;
    const texts = (name: string, limits: { limit?: number; testLimit?: number }) =>
      textsOf(context, model, name, { maxLength: 96, ...limits });
    const spec = texts('mrpc', { limit, testLimit });
    const { made, data } = await trainedClassifier(runner, context, model, spec, 3 * training);
    const { test } = await loadData({ ...spec, testLimit: utilityTests });
    const goal = { data: texts(task, { limit: attackLimit, testLimit: attackTests }), ...goalOf };
    const proxy = texts('qnli', { limit: attackLimit, testLimit });
    return { unlocked: made, data: { ...data, test }, goal, proxy };
  },
});

/** A sentence encoder as it is published, a rich release: its owner keeps the embeddings of MRPC's first sentences where they are. */
const rich = (
  model: TextModel,
  { task, ...about }: TextFrontier,
  goalOf: Pick<SweepGoal, 'metric' | 'target'>,
): FrontierModel => ({
  ...about,
  reads: [`models/${model.folder}`, 'mrpc', task],
  async prepare(runner, context, { limit, testLimit, attackLimit = 1500, attackTests }) {
    const texts = (name: string, options: Partial<DataSpec>) =>
      textsOf(context, model, name, { maxLength: 96, ...options });
    const spec = texts('mrpc', { limit, testLimit, text: 'sentence1' });
    const data = { ...(await loadData(spec)), spec };
    const goal = { data: texts(task, { limit: attackLimit, testLimit: attackTests }), ...goalOf };
    const head = tasks.get('classification').headFor((await loadData(goal.data)).train);
    return { unlocked: await releasedAsIs(runner, context, model), data, goal, head };
  },
});

const { metric, target } = pairTasks[1];

/** Pairs again, as those that it is released for: what removes has to keep what this task needs. */
const minilmOnQqp = narrow(
  minilm,
  {
    name: 'minilm-narrow',
    label: 'MiniLM, narrow',
    what: 'MiniLM with a classifier trained on MRPC; the attacker has QQP.',
    task: 'qqp',
  },
  { metric, target },
);

/** Another kind of task: whether a sentence of a review praises (`tools/rated-sentences.mjs` makes the data sets). */
const onRated = (what: string, task: string, of: string) => ({
  what: `${what}; the attacker has sentences of ${of}, praise or blame (of those rated for VADER, Hutto and Gilbert 2014).`,
  task,
  onlyNamed: true,
});
const withClassifier = 'with a classifier trained on MRPC';

const minilmOnReviews = narrow(
  minilm,
  {
    ...{ name: 'minilm-reviews', label: 'MiniLM, narrow, on reviews' },
    ...onRated(`MiniLM ${withClassifier}`, 'movie-reviews', 'film reviews'),
  },
  { target: 0.75 },
);

/** The same locks, whose settings were chosen with film reviews, on a task that they were not chosen by. */
const minilmOnProducts = narrow(
  minilm,
  {
    ...{ name: 'minilm-products', label: 'MiniLM, narrow, on product reviews', locksOf: 'minilm-reviews' },
    ...onRated(`MiniLM ${withClassifier}`, 'product-reviews', 'product reviews'),
  },
  { target: 0.82 },
);

const minilmRich = rich(
  minilm,
  {
    ...{ name: 'minilm-rich', label: 'MiniLM, rich, on reviews' },
    ...onRated('MiniLM as it is published, an encoder of sentences', 'movie-reviews', 'film reviews'),
  },
  { target: 0.75 },
);

const smollm2OnReviews = narrow(
  smollm2,
  {
    ...{ name: 'smollm2-reviews', label: 'SmolLM2, narrow, on reviews' },
    ...onRated(`SmolLM2-135M ${withClassifier}`, 'movie-reviews', 'film reviews'),
  },
  { target: 0.75 },
);

/** All models that locks are compared on. */
export const frontierModels: readonly FrontierModel[] = [
  digitsCnn,
  published('resnet20', 'ResNet-20'),
  published('resnet32', 'ResNet-32'),
  minilmOnQqp,
  minilmOnReviews,
  minilmOnProducts,
  minilmRich,
  smollm2OnReviews,
];
