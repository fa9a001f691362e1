import { type AttackRow, constantScore } from '../../attacks/index.js';
import { type LabelledDataset, loadData, subset } from '../../data/index.js';
import { mean, meanInterval } from '../../linalg/index.js';
import { initializeModel, loadModel, type Model } from '../../models/index.js';
import { type Evaluation, taskOf } from '../../tasks/index.js';
import { trainOptions } from '../jobs/train.js';
import type { TaskData } from '../run/index.js';
import {
  claimsOfSearch,
  counted,
  isGuessing,
  judgeLost,
  keepsProbabilities,
  overDraws,
  pointsInWords,
  preventsAtSetting,
  share,
} from './claims.js';
import {
  assessed,
  cellOf,
  drawsSentence,
  type Ended,
  endings,
  examplesOf,
  plainTrials,
  printedSpecDef,
  runnerOf,
} from './common.js';
import { drawLocks, drawShams, utilityByDraw } from './drawn-locks.js';
import {
  type Claim,
  type Reproduction,
  type ResultAttack,
  type ResultCell,
  type SettingsByScale,
  scalesOf,
  settingsOf,
} from './reproduction.js';
import { adaptiveTransforms, heldBack, type SweepSettings, singleSetting, sweep } from './sweep.js';

/** What differs between the scales; the paper's numbers are those of its Appendix B.4. */
interface Settings extends SweepSettings {
  /** Epochs of the original training; the paper takes published weights. */
  readonly trainEpochs: number;
  /** Epochs of training on without the forgotten class. */
  readonly unlearnEpochs: number;
  readonly lockEpochs: number;
  /** Draws of the lock: a lock is a random draw, too. */
  readonly draws: number;
}

const batchSize = 32;

/** The paper's cells. */
const ofPaper = { trainEpochs: 30, unlearnEpochs: 10, lockEpochs: 10, draws: 3 } as const;

const settings: SettingsByScale<Settings> = {
  smoke: {
    limit: 96,
    testLimit: 64,
    trainEpochs: 2,
    unlearnEpochs: 1,
    lockEpochs: 1,
    draws: 2,
    budget: { batchSize, searchSeeds: [11], seeds: [1], evaluationSpacing: 4, refine: false },
    optimizers: [{ name: 'sgd', decades: [-1] }],
  },
  small: {
    limit: 8000,
    testLimit: 500,
    trainEpochs: 8,
    adaptiveOptimizers: 1,
    unlearnEpochs: 2,
    lockEpochs: 2,
    draws: 3,
    budget: { batchSize, searchSeeds: [11], seeds: [1, 2, 3], evaluationSpacing: 2 },
    optimizers: [
      { name: 'adamw', decades: [-3, -4] },
      { name: 'sgd', decades: [-2, -1] },
    ],
  },
  medium: {
    ...ofPaper,
    budget: { batchSize, searchSeeds: [11], seeds: [1, 2, 3], evaluationSpacing: 1.5, refine: false },
    optimizers: [
      { name: 'sgd', decades: [-2, -3, -1] },
      { name: 'adamw', decades: [-3, -4] },
    ],
    adaptiveOptimizers: 2,
  },
  paper: {
    ...ofPaper,
    // One for each draw of the lock.
    budget: { batchSize, searchSeeds: [11, 12, 13], seeds: [1, 2, 3], evaluationSpacing: 1.15 },
    optimizers: [
      { name: 'sgd', decades: [-2, -3, -1, -4, 0, -5] },
      { name: 'adamw', decades: [-3, -2, -4, -1, -5, 0] },
      { name: 'adadelta', decades: [0, 1, -1, -2, -3, -4] },
    ],
  },
};

/** The class that is forgotten: automobile. */
const car = 1;

/** The paper's Table 3, per class in CIFAR-10's order. */
const paper: Readonly<Partial<Record<string, readonly number[]>>> = {
  ResNet18: [90.34, 92.16, 85.71, 75.94, 88.06, 82.41, 91.12, 93.31, 93.75, 92.79],
  Unlearned: [76.46, 0.0, 80.71, 65.01, 87.65, 81.19, 82.03, 86.02, 86.52, 74.85],
  'Relearning attack': [82.29, 86.23, 77.37, 65.81, 83.81, 73.21, 89.22, 89.17, 89.26, 86.0],
  SpecDef: [75.86, 0.0, 60.48, 47.71, 64.98, 64.83, 75.05, 72.44, 80.66, 77.39],
  'SpecDef, relearning attack': [55.94, 0.0, 61.6, 37.18, 53.04, 61.15, 72.3, 72.83, 69.53, 90.83],
};
/** What the training of a lock does without the lock; the paper has none. */
const shamLabel = 'Sham lock';
const classNames = ['Plane', 'Car', 'Bird', 'Cat', 'Deer', 'Dog', 'Frog', 'Horse', 'Ship', 'Truck'];
const source = 'paper, Table 3';

/** Examples of all classes but one; the others keep their numbers. */
function without(dataset: LabelledDataset, label: number): LabelledDataset {
  const positions = [...dataset.labels.keys()].filter((position) => dataset.labels[position] !== label);
  return subset(dataset, positions, `${dataset.name} without ${dataset.classes[label]}`);
}

/** `table3`: unlearning a class of CIFAR-10, and relearning it. */
export const table3: Reproduction = {
  name: 'table3',
  description:
    "ResNet-18 unlearns the cars of CIFAR-10, with and without a lock, and is made to relearn them (the paper's Table 3)",
  data: ['cifar10'],
  scales: scalesOf(settings),
  canSkipSweep: true,
  async run(scale, context) {
    const chosen = settingsOf(settings, scale);
    const { limit, testLimit, trainEpochs, unlearnEpochs, lockEpochs, draws, ...rest } = chosen;
    const { optimizers, adaptiveOptimizers } = rest;
    const { seed } = context;
    const runner = runnerOf(context);
    const data = examplesOf(context, 'cifar10', {
      validationShare: scale === 'medium' ? 0 : heldBack(scale),
      limit,
      testLimit,
    });
    const { train, validation, test } = await loadData(data);
    const others: TaskData = { train: without(train, car), validation: without(validation, car) };

    const training = (epochs: number) =>
      trainOptions.parse({ epochs, batchSize, optimizer: 'adamw', learningRate: 1e-3, evaluateEvery: 100_000 });
    const start = async () => initializeModel('resnet18', { num_classes: 10, image_size: 32 }, seed);
    const original = await runner.train(
      { name: 'original' },
      { from: start, data: { train, validation }, options: training(trainEpochs) },
    );
    const reload = () => loadModel(original.path);
    const unlearned = await runner.train(
      { name: 'unlearned' },
      { from: reload, data: others, options: training(unlearnEpochs) },
    );
    const lockCourse = { epochs: lockEpochs, schedule: 'step', step: { gamma: 0.7 }, optimizer: 'adam', batchSize };
    const options = printedSpecDef(lockCourse);
    const lock = { name: 'locked', data: others, test: without(test, car), options };
    const locked = await drawLocks(runner, unlearned, lock, draws);
    const control = { data: others, options };
    const sham = context.sweep === 'full' ? await drawShams(runner, unlearned, control, draws) : undefined;
    const paths = { ...locked.paths, ...sham?.paths };
    const { sigmas } = locked;
    const budget = { ...rest.budget, steps: Math.max(1, Math.round(train.size / batchSize)) };
    const metric = `f1.${car}`;
    const goal = { label: 'relearn', data, target: 0.5, metric };
    // Of who calls everything a car.
    const guessing = constantScore(taskOf(original.model), test, metric) ?? 0;
    const { rows: relearned } = await runner.attack(
      paths,
      singleSetting(goal, { name: 'sgd', learningRate: 0.1 }, budget),
    );
    const transforms = adaptiveTransforms({ topK: 1 });
    const attacks: ResultAttack[] = [];
    if (context.sweep === 'full') {
      const plan = sweep(goal, optimizers, budget, { transforms, adaptiveOptimizers });
      const facts = { task: 'cars of CIFAR-10', metric: 'F1 of car', target: goal.target, guessing };
      attacks.push(assessed(facts, (await runner.attack(paths, plan)).rows));
    }

    const byClass = async (model: Model) => recalls((await runner.evaluate(model, test)).metrics);
    const before = { original: await byClass(original.model), unlearned: await byClass(unlearned.model) };
    const utility = utilityByDraw('ResNet-18 without cars', locked);
    const byClassAndDraw = async (made: readonly { model: Model }[]) => {
      const scores: number[][] = classNames.map(() => []);
      for (const { model } of made) {
        for (const [label, score] of (await byClass(model)).entries()) scores[label].push(score);
      }
      return scores;
    };
    const lockedScores = await byClassAndDraw(locked.locks);
    const shamScores = sham && (await byClassAndDraw(sham.shams));
    const after = {
      unlearned: relearnedBy(relearned, 'unlocked', guessing),
      locked: relearnedBy(relearned, 'locked', guessing),
    };
    const row = (label: string, byClass: readonly (readonly number[])[], diverged = 0) => {
      const all = byClass[0].map((_, seed) => mean(byClass.map((scores) => scores[seed])));
      const found = paper[label];
      const theirs = found && [...found, mean(found)].map((percent) => percent / 100);
      return {
        label,
        cells: [...byClass, all].map((scores, index): ResultCell => cellOf({ scores, diverged }, theirs?.[index])),
      };
    };
    const single = (values: readonly number[]) => values.map((value) => [value]);
    const others9 = (values: readonly number[]) => mean(values.filter((_, label) => label !== car));
    const othersByDraw = (byClass: readonly (readonly number[])[]) =>
      byClass[0].map((_, draw) => others9(byClass.map((scores) => scores[draw])));
    return {
      name: 'table3',
      title: 'Table 3: relearning an unlearned class',
      scale,
      setup: [
        `ResNet-18 with torchvision's ImageNet stem on CIFAR-10, ${train.size} training images (of lossy copies, see the data's README), ${test.size} test images.`,
        `Original: ${trainEpochs} epochs of AdamW, learning rate 1e-3, cosine (the paper takes published weights). Unlearned: ${unlearnEpochs} more epochs without cars, the same course (the paper trains on without them, and gives neither epochs nor rate). SpecDef: ${lockEpochs} epochs of the lock on the unlearned model, retain loss without cars, α 0.5, k 1, Adam 1e-3 falling by 0.7 each epoch, as printed and without a utility budget; σ1 rose to ${sigmas.map((sigma) => sigma.toFixed(0)).join(', ')} at most.`,
        drawsSentence(draws),
        `Relearning attack: one epoch over all classes (${budget.steps} steps of ${batchSize}) of SGD at learning rate 0.1, as in the paper, ${counted(budget.seeds.length, 'seed')}${context.sweep === 'none' ? '; no search' : `; beside it the best of a sweep over ${optimizers.map(({ name }) => name).join(', ')}, also of sham locks, as many (all of the lock's training without its push on singular values)`}, scored by the F1 of the class car.`,
      ],
      tables: [
        {
          title: 'Accuracy by class',
          columns: [...classNames, 'Mean'],
          rows: [
            row('ResNet18', single(before.original)),
            row('Unlearned', single(before.unlearned)),
            row('Relearning attack', after.unlearned.byClass, after.unlearned.f1.diverged),
            row('SpecDef', lockedScores),
            ...(shamScores ? [row(shamLabel, shamScores)] : []),
            row('SpecDef, relearning attack', after.locked.byClass, after.locked.f1.diverged),
          ],
        },
      ],
      utility,
      attacks,
      claims: [
        forgets(before.original[car], before.unlearned[car], test.size),
        ...overDraws(locked.locks.length, [
          keepsOthers(
            others9(before.unlearned),
            othersByDraw(lockedScores),
            test.size,
            shamScores && othersByDraw(shamScores),
          ),
          ...Object.entries(utility).map(([name, change]) =>
            keepsProbabilities(`the other nine classes (${name})`, change),
          ),
          relearningClaim(after.unlearned, after.locked, guessing),
          ...attacks.flatMap((found) => claimsOfSearch(found, source)),
        ]),
      ],
      notes: [...runner.notes],
      seconds: runner.seconds,
    };
  },
};

/** Share of the examples of each class that are taken for it. */
function recalls(metrics: Evaluation['metrics']): number[] {
  return classNames.map((_, label) => metrics[`recall.${label}`] ?? Number.NaN);
}

/** What the runs from one start ended with. */
export interface Relearned {
  /** Accuracies by class, `[class][seed]`; of a run that diverged, which leaves no model, none is right. */
  readonly byClass: readonly (readonly number[])[];
  /** F1 of the class. */
  readonly f1: Ended;
}

function relearnedBy(rows: readonly AttackRow[], start: string, guessing: number): Relearned {
  const trials = plainTrials(rows, start);
  const byClass = classNames.map((_, label) =>
    trials.map(({ end, metrics }) => (end === 'diverged' ? 0 : recalls(metrics)[label])),
  );
  return { byClass, f1: endings(rows, start, guessing) };
}

/** Training on without cars forgets them. */
function forgets(before: number, after: number, n: number): Claim {
  const text = 'Training on without cars forgets them (accuracy on cars at most 5 %).';
  const finding = `cars ${share(before)} before, ${share(after)} after`;
  return { text, source, ...ofBefore(isGuessing(before, 0.1, n / 10), after <= 0.05 ? 'holds' : 'fails', finding) };
}

/**
 * What locks cost the other classes, by the interval over draws.
 *
 * @param shams - The same of their controls, in the order of the locks, whose seeds they have; none where there are none.
 */
export function keepsOthers(before: number, after: readonly number[], n: number, shams: readonly number[] = []): Claim {
  const lost = meanInterval(after.map((score) => before - score));
  const found = `${share(before)} before the lock, ${share(mean(after))} after, ${pointsInWords(lost.mean, lost)} lost, n = ${counted(after.length, 'lock')}${besideShams(before, after, shams)}`;
  const text = 'The lock costs the other nine classes at most 1 point.';
  return { text, source, ...ofBefore(isGuessing(before, 0.1, n), ...judgeLost(lost, 'locks', found)) };
}

/** What the controls lost, and how much more the locks, pair by pair: those of one seed have the same shuffles. */
function besideShams(before: number, after: readonly number[], shams: readonly number[]): string {
  if (shams.length !== after.length) return '';
  const lost = meanInterval(shams.map((score) => before - score));
  const more = meanInterval(shams.map((score, draw) => score - after[draw]));
  return `; the sham locks lost ${pointsInWords(lost.mean, lost)}, the locks ${pointsInWords(more.mean, more)} more by pairs of one seed`;
}

/** A verdict, which means something only where the model before was better than guessing. */
function ofBefore(guesses: boolean, verdict: Claim['verdict'], finding: string): Pick<Claim, 'verdict' | 'finding'> {
  return guesses
    ? { verdict: 'unmeasured', finding: `the model before cannot be told from guessing: ${finding}` }
    : { verdict, finding };
}

/**
 * The relearning attack brings cars back to the unlearned model, and not to the locked one. By F1: a ruined model that takes most
 * images for cars finds the cars, too.
 */
export function relearningClaim(unlearned: Relearned, locked: Relearned, guessing: number): Claim {
  const about = { task: 'cars again (F1)', setting: 'SGD at learning rate 0.1', source, guessing };
  const claim = preventsAtSetting(about, unlearned.f1, locked.f1);
  const of = ({ byClass }: Relearned) =>
    `${share(mean(byClass[car]))} of the cars and ${share(mean(byClass.flat()))} of all`;
  return {
    ...claim,
    finding: `${claim.finding}; right: unlocked ${of(unlearned)}, locked ${of(locked)}`,
  };
}
