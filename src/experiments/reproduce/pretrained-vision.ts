import { loadData, subset } from '../../data/index.js';
import { specDefOptions } from '../../locks/index.js';
import type { UtilityChange } from '../utility.js';
import { accuracy, claimsOfSearch, counted, keepsBoth, overDraws, share } from './claims.js';
import { assessed, drawsSentence, examplesOf, judgedExamples, runnerOf, shamsSentence } from './common.js';
import { drawLocks, drawShams, utilityByDraw } from './drawn-locks.js';
import {
  type Claim,
  type Reproduction,
  type ResultAttack,
  type SettingsByScale,
  scalesOf,
  settingsOf,
} from './reproduction.js';
import { adaptiveTransforms, type SweepSettings, sweep } from './sweep.js';

/** What differs between the scales. */
interface Settings extends SweepSettings {
  readonly architectures: readonly string[];
  readonly lockSteps: number;
  /** Draws of the lock; default 1. */
  readonly draws?: number;
  /** Steps of each attack. */
  readonly steps: number;
}

const settings: SettingsByScale<Settings> = {
  smoke: {
    architectures: ['resnet20'],
    limit: 64,
    testLimit: 64,
    lockSteps: 2,
    steps: 2,
    budget: { batchSize: 32, searchSeeds: [11], seeds: [1], evaluationSpacing: 4, refine: false },
    optimizers: [{ name: 'adamw', decades: [-3] }],
  },
  small: {
    architectures: ['resnet20', 'resnet32'],
    limit: 6000,
    testLimit: 300,
    lockSteps: 500,
    draws: 3,
    steps: 30,
    adaptiveOptimizers: 1,
    budget: { batchSize: 32, searchSeeds: [11], seeds: [1, 2, 3], evaluationSpacing: 1.7 },
    optimizers: [
      { name: 'adamw', decades: [-2, -3] },
      { name: 'sgd', options: { momentum: 0.9 }, decades: [-1, -2] },
    ],
  },
  paper: {
    architectures: ['resnet20', 'resnet32'],
    lockSteps: 3000,
    draws: 3,
    steps: 1000,
    budget: { batchSize: 32, searchSeeds: [11, 12], seeds: [1, 2, 3, 4, 5, 6], evaluationSpacing: 1.15 },
    optimizers: [
      { name: 'adamw', decades: [-3, -2, -4, -1, -5, 0] },
      { name: 'sgd', options: { momentum: 0.9 }, decades: [-2, -1, -3, 0, -4, -5] },
      { name: 'adadelta', decades: [0, 1, -1, -2, -3, -4] },
    ],
  },
};

/** Accuracy of the published weights on the first 1,000 test images of the data folder (its README). */
const published: Readonly<Record<string, number>> = { resnet20: 0.804, resnet32: 0.84 };
/** Normalization that they were trained with. */
const normalization = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const perClass = 20;
const source = 'weightlock';

/** `pretrained-vision`: published networks, locked with their behaviour retained, attacked on another task. */
export const pretrainedVision: Reproduction = {
  name: 'pretrained-vision',
  description:
    'published CIFAR-10 ResNets, locked, then trained on Fashion-MNIST, all images and few (not in the paper)',
  data: ['models/cifar10-resnet20', 'models/cifar10-resnet32', 'cifar10', 'fashion-mnist'],
  scales: scalesOf(settings),
  canSkipSweep: false,
  async run(scale, context) {
    const { architectures, limit, testLimit, lockSteps, draws, steps, optimizers, adaptiveOptimizers, ...rest } =
      settingsOf(settings, scale);
    const { data: root } = context;
    const runner = runnerOf(context);
    const spec = (name: string, share: number) =>
      examplesOf(context, name, { size: 32, channels: 3, ...normalization, validationShare: share, limit, testLimit });
    const cifar = await loadData(spec('cifar10', 0.1));
    const all = await loadData({ ...spec('cifar10', 0.1), testLimit: undefined });
    const firstThousand = subset(all.test, [...Array(1000).keys()]);
    const lock = specDefOptions.parse({
      lead: { share: 0 },
      alpha: 0.2,
      topK: 4,
      steps: lockSteps,
      batchSize: 64,
      retain: { task: 1, kl: 1 },
      maxDrop: 0.01,
      // Running statistics that move to these lossy copies of the images cost 0.2 to 0.3 nats by themselves.
      maxKl: null,
      evaluateEvery: Math.max(1, Math.round(lockSteps / 20)),
      patience: 5,
    });

    const attacks: ResultAttack[] = [];
    const claims: Claim[] = [];
    const rows: { label: string; cells: { ours: number[]; paper?: number }[] }[] = [];
    const raised: string[] = [];
    const utility: Record<string, UtilityChange> = {};
    for (const architecture of architectures) {
      const path = `${root}/models/cifar10-${architecture}`;
      const unlocked = await runner.adopt({ name: `${architecture}-unlocked` }, path, { architecture });
      const lockOf = {
        name: `${architecture}-locked`,
        data: { train: cifar.train, validation: cifar.validation },
        test: cifar.test,
        options: lock,
      };
      const { locks, paths, utilities } = await drawLocks(runner, unlocked, lockOf, draws);
      const control = { name: `${architecture}-sham-locked`, data: lockOf.data, options: lock };
      const sham = await drawShams(runner, unlocked, control, draws);
      const ofShams: number[] = [];
      for (const { model } of sham.shams) ofShams.push(accuracy(await runner.evaluate(model, cifar.test)));
      const first = await runner.evaluate(unlocked.model, firstThousand);
      const byDraw = utilityByDraw(architecture, { utilities });
      const claim = (...found: readonly Claim[]) => claims.push(...overDraws(utilities.length, found));
      Object.assign(utility, byDraw);
      for (const [draw, { info }] of locks.entries()) {
        const factors = info.spectra.map((spectrum) => spectrum.after[0] / spectrum.before[0]);
        raised.push(
          `${Object.keys(byDraw)[draw]}: ${info.steps} lock steps kept of ${info.stepsTried} tried, σ1 raised ${Math.min(...factors).toFixed(1)} to ${Math.max(...factors).toFixed(1)} times`,
        );
      }
      rows.push({
        label: architecture,
        cells: [
          { ours: [accuracy(first)], paper: published[architecture] },
          { ours: utilities.slice(0, 1).map(({ before }) => accuracy(before.float32)) },
          { ours: utilities.map(({ after }) => accuracy(after.float32)) },
          { ours: ofShams },
        ],
      });
      claims.push({
        text: `The published ${architecture} reaches its accuracy on the first 1,000 test images.`,
        source: "the data folder's README",
        verdict: Math.abs(accuracy(first) - published[architecture]) < 1e-9 ? 'holds' : 'fails',
        finding: `${share(accuracy(first))}, expected ${share(published[architecture])}`,
      });
      claim(...keepsBoth('CIFAR-10', source, byDraw));
      const transforms = adaptiveTransforms({ topK: lock.topK });
      for (const few of [false, true]) {
        const label = `${architecture}-fashion-mnist${few ? '-few' : ''}`;
        const goal = {
          label,
          data: spec('fashion-mnist', 0.01),
          target: few ? 0.6 : 0.7,
          perClass: few ? perClass : undefined,
          authorized: judgedExamples(spec('cifar10', 0.1)),
        };
        const plan = sweep(goal, optimizers, { ...rest.budget, steps }, { transforms, adaptiveOptimizers });
        const task = `Fashion-MNIST by ${architecture}${few ? `, ${perClass} images of each class` : ''}`;
        const found = assessed(
          { task, metric: 'accuracy', target: goal.target, guessing: 0.1 },
          (await runner.attack({ ...paths, ...sham.paths }, plan)).rows,
        );
        attacks.push(found);
        claim(...claimsOfSearch(found, source));
      }
    }
    return {
      name: 'pretrained-vision',
      title: 'Networks that others trained: CIFAR-10 ResNets, attacked on Fashion-MNIST',
      scale,
      setup: [
        `Published CIFAR-10 ResNets (Idelbayev), locked with SpecDef: α ${lock.alpha}, k ${lock.topK}, AdamW 1e-3, retain loss cross entropy plus KL to the original on ${cifar.train.size} CIFAR-10 training images (of lossy copies, see the data's README), at most ${lockSteps} steps, stopped before 1 point of accuracy is lost on ${cifar.validation.size} held-out images. No budget on KL: the running statistics of batch norm move to these copies of the images, which alone costs 0.2 to 0.3 nats.`,
        ...raised.map((text) => `${text}.`),
        drawsSentence(draws),
        shamsSentence,
        `Attacks: Fashion-MNIST as 3×32×32 images, ${steps} steps of ${rest.budget.batchSize}, constant learning rate, with all training images drawn (at most ${limit ?? 'all'}) and with ${perClass} of each class; ${counted(rest.budget.seeds.length, 'seed')}, the same trials and steps for all starting points, a new classifier only as far as training makes one.`,
      ],
      tables: [
        {
          title: 'Accuracy on CIFAR-10',
          reference: "the data folder's README's",
          columns: [
            'first 1,000 test images',
            'test images, unlocked',
            'test images, locked',
            'test images, sham locks',
          ],
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
