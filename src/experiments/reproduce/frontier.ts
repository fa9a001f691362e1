import { type Advantage, type AttackRow, attackersAdvantage, learnedOptions } from '../../attacks/index.js';
import { loadData } from '../../data/index.js';
import { mean } from '../../linalg/index.js';
import { type LockMethod, lockMethods } from '../../locks/index.js';
import { InputError, WeightlockError } from '../../registry/index.js';
import { taskOf } from '../../tasks/index.js';
import type { AttackPlan } from '../jobs/attack-options.js';
import { kindOf } from '../recommend/model-kind.js';
import type { Runner } from '../run/index.js';
import type { UtilityChange } from '../utility.js';
import { runnerOf } from './common.js';
import { type FrontierLimits, type FrontierModel, frontierModels, type PreparedModel } from './frontier-models.js';
import {
  type AdvantageLeft,
  type Claim,
  type FrontierPoint,
  type Reproduction,
  type SettingsByScale,
  scalesOf,
  settingsOf,
} from './reproduction.js';
import { type SweepBudget, type SweepSettings, sweep } from './sweep.js';

/** A lock to compare: a method and those of its options that are not its defaults. */
interface FrontierLock {
  readonly method: string;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** What is done with one model. */
interface ModelSettings extends FrontierLimits, Pick<SweepSettings, 'optimizers'> {
  readonly budget: SweepBudget;
  readonly locks: readonly FrontierLock[];
  /** Seeds of the draws of each lock. */
  readonly draws: readonly number[];
}

/** By the name of the model. */
type Settings = Readonly<Record<string, ModelSettings>>;

/** Attacks beside plain fine-tuning; those that can do nothing to a model are left out. */
const tried = [
  ...['fine-tune', 'clip', 'rescale', 'canonicalize', 'clip-rescale', 'reset', 'clip-reset', 'reset-dormant'],
  ...['lora', 'frozen', 'white-box', 'distil'],
];

/** Steps between two checks of a lock's utility. */
const every = (steps: number) => Math.max(1, Math.round(steps / 20));

/** Options of some of the locks of a model. */
interface LockOptions {
  readonly rates?: readonly number[];
  readonly own?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Locks that are trained stop before a point of utility is lost; what they did until then is judged. */
const onePoint = { maxDrop: 0.01, maxKl: null } as const;

/**
 * The locks of a model.
 *
 * @param options - `rates`: learning rates of the attacks that `tar` is trained against, default those of its publication; those of
 *   this model's attacks are others. `own`: options of one method, by its name. `more`: options of all locks that are trained.
 */
function locksOf(
  steps: number,
  { rates, own = {}, ...more }: Readonly<Record<string, unknown>> & LockOptions = {},
): FrontierLock[] {
  const trained = { steps, evaluateEvery: every(steps), ...onePoint, ...more };
  // A step of tar is an attack of 16 steps that is judged four times.
  const outer = Math.max(1, Math.round(steps / 4));
  const attacks = { steps: 16, every: 4, batchSize: 16, ...(rates && { learningRates: rates }) };
  return [
    { method: 'specdef', options: { ...trained, topK: 4, alpha: 0.2 } },
    { method: 'specdef-moved', options: { ...trained, topK: 4, alpha: 0.2 } },
    { method: 'redistil', options: { ...trained, a: 0.6, ...own.redistil } },
    { method: 'erase', options: { ...trained, energy: 0.9, ...own.erase } },
    { method: 'trap', options: trained },
    { method: 'repnoise', options: { ...trained, batchSize: 16 } },
    {
      method: 'tar',
      options: {
        ...{ learningRate: 3e-4, ...trained, steps: outer, evaluateEvery: every(outer) },
        ...{ batchSize: 16, optimizer: 'adamw', attacks },
      },
    },
    { method: 'immunize', options: { ...trained, learningRate: 1e-3, termClipNorm: 1 } },
    { method: 'spectral-closed' },
    { method: 'rebalance' },
  ];
}

const quickBudget = { batchSize: 8, searchSeeds: [11], seeds: [1], evaluationSpacing: 4, refine: false } as const;
const usualSeeds = { searchSeeds: [11], seeds: [1, 2, 3], evaluationSpacing: 1.7, refine: false } as const;
const adamwAlone = [{ name: 'adamw', decades: [-2, -3] }] as const;

const digits: ModelSettings = {
  testLimit: 1000,
  attackTests: 500,
  budget: { ...usualSeeds, steps: 96, batchSize: 32, seeds: [1, 2, 3, 4, 5, 6] },
  optimizers: [
    { name: 'adamw', decades: [-2, -3] },
    { name: 'adadelta', decades: [0, -1] },
  ],
  locks: locksOf(2000),
  draws: [1, 2, 3],
};

const resnet: ModelSettings = {
  attackLimit: 6000,
  testLimit: 600,
  attackTests: 300,
  // Six, so that each draw of a lock is attacked twice: three seeds decide nothing.
  budget: { ...usualSeeds, steps: 30, batchSize: 32, seeds: [1, 2, 3, 4, 5, 6] },
  optimizers: adamwAlone,
  locks: locksOf(800, { batchSize: 64, rates: [1e-4, 1e-3, 3e-3] }),
  draws: [1, 2, 3],
};

/** What stands for its class where two hours have to do. */
const first = ['specdef', 'redistil', 'erase', 'rebalance'];

/** What removes has to bring utility back, which takes longer; what is kept here comes back within a point (tried with one draw). */
const removal = { steps: 1500, evaluateEvery: every(1500), schedule: 'cosine', learningRate: 1e-3 } as const;
const removals = { redistil: { ...removal, a: 0.3 }, erase: { ...removal, energy: 0.97 } };

const settings: SettingsByScale<Settings> = {
  smoke: {
    'digits-cnn': {
      ...{ limit: 64, testLimit: 64, attackTests: 32, training: 0.02, draws: [1, 2] },
      budget: { ...quickBudget, steps: 2 },
      optimizers: [{ name: 'adamw', decades: [-3] }],
      locks: locksOf(2),
    },
  },
  small: {
    'digits-cnn': digits,
    resnet20: {
      ...resnet,
      locks: locksOf(300, { batchSize: 32, own: removals }).filter(({ method }) => first.includes(method)),
    },
  },
  full: {
    'digits-cnn': digits,
    resnet20: resnet,
    resnet32: resnet,
    'minilm-narrow': {
      ...{ testLimit: 400, attackTests: 400, draws: [1, 2, 3] },
      budget: { ...usualSeeds, steps: 180, batchSize: 8 },
      optimizers: [{ name: 'adamw', options: { weightDecay: 0.01 }, schedule: { name: 'linear' }, decades: [-4, -3] }],
      locks: locksOf(800, { batchSize: 16, learningRate: 2e-4, rates: [3e-5, 1e-4, 3e-4] }),
    },
  },
};

/** What is left of an advantage, as a result holds it. */
function leftOf(advantage: Advantage | undefined): AdvantageLeft | undefined {
  if (!advantage) return undefined;
  const { value, isUpperBound, isLowerBound } = advantage;
  const { ratio, low, high } = value;
  return {
    ratio,
    ...(low !== undefined && { low, high }),
    ...(isUpperBound && { isUpperBound }),
    ...(isLowerBound && { isLowerBound }),
  };
}

/** An attack in a few words. */
function inWords({ label, use, optimizer, trains }: AttackRow): string {
  return [label, use, ...(trains ? [optimizer] : [])].filter((word) => word !== undefined).join(', ');
}

/** A lock method with its options, and the control that has its training alone. */
function parsed({ method, options = {} }: FrontierLock) {
  const chosen = lockMethods.get(method) as LockMethod;
  return { method: chosen, options: (chosen.options as { parse(given: unknown): unknown }).parse(options) };
}

/**
 * The attacks by one who knows of a lock what its method reveals. Of those that raise nothing he clips what the first one would have
 * raised: every lock has the same attacks.
 */
function planOf(
  { goal }: PreparedModel,
  { budget, optimizers, locks: [first] }: ModelSettings,
  label: string,
  lock?: FrontierLock,
): AttackPlan {
  const revealed = [lock, first].flatMap((each) => {
    if (!each) return [];
    const { method, options } = parsed(each);
    return method.reveals?.(options) ?? [];
  });
  const known = revealed.find(({ raised }) => raised) ?? {};
  const transforms = { ...free, ...learnedOptions(known) };
  return sweep({ ...goal, label }, optimizers, budget, { attacks: tried, transforms });
}

/** Draws one lock, and attacks the draws together. */
class Comparison {
  constructor(
    private readonly runner: Runner,
    private readonly model: FrontierModel,
    private readonly prepared: PreparedModel,
    private readonly own: ModelSettings,
    /** Rows of the unlocked model and of random weights, the same for all locks. */
    private readonly base: readonly AttackRow[],
  ) {}

  /** Judges a method; `sham`: its control. */
  async judge(lock: FrontierLock, { sham = false } = {}): Promise<FrontierPoint> {
    const { runner, model, prepared, own } = this;
    const { method, options } = parsed(lock);
    const given = sham ? method.sham?.(options) : options;
    const name = `${model.name}-${method.name}${sham ? '-sham' : ''}`;
    const { train, validation, test, spec } = prepared.data;
    const adversary = prepared.proxy && method.needsAdversary ? (await loadData(prepared.proxy)).train : undefined;
    const { model: from } = prepared.unlocked;
    const draws = [];
    for (const seed of own.draws) {
      const part = { name: `${name}-${seed}`, seed };
      draws.push(
        await runner.lock(part, { from, data: { train, validation, test, spec }, adversary, method, options: given }),
      );
    }
    const changes: UtilityChange[] = [];
    for (const { model: locked } of draws) changes.push(await runner.utility(from, locked, test));
    const [first, ...others] = draws.map(({ path }) => path);
    const targets = { locked: first, ...(others.length > 0 && { lockedDraws: others }) };
    const { rows } = await runner.attack(targets, { ...planOf(prepared, own, name, lock), from: ['locked'] });
    const all = [...this.base, ...rows];
    const [score, cost] = [attackersAdvantage(all, 'score'), attackersAdvantage(all, 'cost')];
    const { roles } = taskOf(from);
    const lost = changes.map(
      ({ before, after }) =>
        (before.float32.metrics[roles.score] ?? Number.NaN) - (after.float32.metrics[roles.score] ?? Number.NaN),
    );
    const unchanged = draws.filter(({ info }) => info.steps === 0).length;
    if (unchanged > 0 && draws.some(({ info }) => info.stepsTried > 0)) {
      const of = `${unchanged} of ${draws.length} draws`;
      runner.notes.add(
        `${model.label}, ${method.name}: ${of} are the unlocked model: no step stayed within the budget.`,
      );
    }
    const flops = draws.flatMap(({ info }) => info.flops ?? []);
    const seconds = mean(own.draws.map((seed) => runner.seconds[`${name}-${seed}`] ?? Number.NaN));
    return {
      model: model.label,
      method: sham ? 'sham lock' : method.name,
      kind: kindOf(from),
      options: lock.options ?? {},
      ...(!sham && { class: method.class }),
      lost,
      kl: changes.flatMap(({ after }) => after.float32.metrics[roles.divergence] ?? []),
      score: leftOf(score),
      cost: leftOf(cost),
      attack: score ? inWords(score.locked) : '–',
      ...(flops.length > 0 && { flops: mean(flops) }),
      seconds,
    };
  }
}

/** Transforms that an attacker may use on any lock, with their defaults. */
const free = { rescale: {}, canonicalize: {}, reset: {}, 'reset-dormant': {}, distil: {} } as const;

/** Most of the advantage that a lock may leave which is worth its name here, at a point of utility. */
const goalLeft = 0.1;
const goalLost = 0.01;

function claimsOf(label: string, points: readonly FrontierPoint[]): Claim[] {
  const source = 'weightlock';
  const measured = points.filter(({ score }) => score?.low !== undefined);
  const locks = measured.filter((point) => point.class !== undefined);
  const cheap = locks.filter(({ lost }) => mean(lost) <= goalLost + 1e-9);
  const left = ({ score, cost }: FrontierPoint) => [score, cost].map((each) => each?.high ?? Number.POSITIVE_INFINITY);
  const text = `On ${label} some lock leaves at most ${100 * goalLeft} % of the advantage, in score and in cost, at no more than 1 point of utility.`;
  const ranked = [...cheap].sort((a, b) => (a.score?.ratio ?? 0) - (b.score?.ratio ?? 0));
  const holder = cheap.find((point) => left(point).every((high) => high <= goalLeft));
  const [best] = ranked;
  const words = ({ method, score, lost }: FrontierPoint) =>
    `${method}: ${score?.ratio.toFixed(2)} (${score?.low?.toFixed(2)} to ${score?.high?.toFixed(2)}) left in score at ${(100 * mean(lost)).toFixed(1)} points`;
  const goal: Claim =
    measured.length === 0
      ? { text, source, verdict: 'unmeasured', finding: 'the unlocked model cannot be told from the floor' }
      : {
          text,
          source,
          verdict: holder ? 'holds' : 'fails',
          finding: best ? `best within a point: ${words(holder ?? best)}` : 'no lock stayed within a point',
        };
  const control = measured.find((point) => point.class === undefined);
  // By whole intervals: two that overlap may be one.
  const below = ({ score: a }: FrontierPoint, { score: b }: FrontierPoint) =>
    (a?.high ?? Number.POSITIVE_INFINITY) < (b?.low ?? Number.NEGATIVE_INFINITY);
  const worse = control ? locks.filter((lock) => below(control, lock)) : [];
  const equal = control ? locks.filter((lock) => !below(lock, control) && !below(control, lock)) : [];
  const beats: Claim = {
    text: `On ${label} every lock leaves less than the sham lock.`,
    source,
    verdict: worse.length > 0 ? 'fails' : control && equal.length === 0 ? 'holds' : 'unmeasured',
    finding: control
      ? [
          words(control),
          ...worse.map((lock) => `more: ${words(lock)}`),
          ...equal.map((lock) => `not to be told from it: ${words(lock)}`),
        ].join('; ')
      : 'the sham lock was not measured',
  };
  return [goal, beats];
}

/** `frontier`: all lock methods beside one another: utility lost, advantage left, owner's computing. */
export const frontier: Reproduction = {
  name: 'frontier',
  description: 'all lock methods beside one another: utility lost, advantage left, what they take their owner (ours)',
  data: [...new Set(frontierModels.flatMap(({ reads }) => reads))],
  models: Object.fromEntries(frontierModels.map(({ name, reads }) => [name, reads])),
  scales: scalesOf(settings),
  canSkipSweep: false,
  async run(scale, context) {
    const offered = settingsOf(settings, scale);
    const wanted = context.models ?? Object.keys(offered);
    const missing = wanted.find((name) => !offered[name]);
    if (missing !== undefined) {
      throw new InputError(
        `--models: expected some of ${Object.keys(offered).join(', ')} for frontier at scale ${scale}, found ${missing}`,
      );
    }
    const runner = runnerOf(context);
    const points: FrontierPoint[] = [];
    const claims: Claim[] = [];
    const setup: string[] = [];
    for (const model of frontierModels) {
      const own = offered[model.name];
      if (!own || !wanted.includes(model.name)) continue;
      const prepared = await model.prepare(runner, context, own);
      const [control] = own.locks;
      if (!control) throw new WeightlockError(`frontier: expected a lock for ${model.name}, found none`);
      const base = await runner.attack(
        { unlocked: prepared.unlocked.path, locked: prepared.unlocked.path },
        { ...planOf(prepared, own, `${model.name}-base`), from: ['unlocked', 'random weights'] },
      );
      const comparison = new Comparison(runner, model, prepared, own, base.rows);
      const found: FrontierPoint[] = [];
      const left: string[] = [];
      for (const lock of own.locks) {
        if (lockMethods.get(lock.method).needsAdversary && !prepared.proxy) {
          left.push(`${lock.method} was left out: there is no other task to train it against`);
          continue;
        }
        found.push(await comparison.judge(lock));
      }
      found.push(await comparison.judge(control, { sham: true }));
      points.push(...found);
      claims.push(...claimsOf(model.label, found));
      const { steps, batchSize, seeds } = own.budget;
      setup.push(
        `${model.what} ${own.draws.length} draws of each lock; attacks of at most ${steps} steps of ${batchSize}, ${own.optimizers.map(({ name }) => name).join(' and ')} at the best rate of a search, ${seeds.length} seed${seeds.length === 1 ? '' : 's'}${left.length > 0 ? `; ${left.join('; ')}` : ''}.`,
      );
    }
    return {
      name: 'frontier',
      title: 'What locks cost and what they leave',
      scale,
      setup: [
        ...setup,
        "The sham lock is specdef's training without its push on singular values.",
        `Attacks, the same for all: ${tried.join(', ')}; those that can do nothing to a model are left out. Locks that are trained stop before a point of utility is lost on held-out examples; there is no budget on KL.`,
      ],
      tables: [],
      frontier: { title: 'Utility lost, advantage left, and what the owner computes', name: 'locks', points },
      utility: {},
      attacks: [],
      claims,
      notes: [...runner.notes],
      seconds: runner.seconds,
    };
  },
};
