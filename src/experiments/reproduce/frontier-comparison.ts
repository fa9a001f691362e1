import {
  type Advantage,
  type AttackRow,
  attackersAdvantage,
  costs,
  isMeasured,
  knownOptions,
  type Measure,
  measuredTrials,
  scores,
  unmixTransform,
} from '../../attacks/index.js';
import { loadData } from '../../data/index.js';
import { mean } from '../../linalg/index.js';
import { taskOf } from '../../tasks/index.js';
import { DivergedError } from '../../training/index.js';
import type { AttackPlan } from '../jobs/attack-plan.js';
import { kindOf } from '../recommend/model-kind.js';
import type { LockedInfo, MadeModel, Runner } from '../run/index.js';
import type { UtilityChange } from '../utility.js';
import { share } from './claims.js';
import { utilityOf } from './drawn-locks.js';
import type { FrontierModel, PreparedModel } from './frontier-models.js';
import {
  type FrontierControl,
  type FrontierLock,
  freeTransforms,
  type ModelSettings,
  parsed,
} from './frontier-settings.js';
import type { AdvantageLeft, AttackReach, FrontierPoint, LeftByAttack } from './reproduction.js';
import { sweep } from './sweep.js';

/**
 * The attacks by one who knows of a lock what its method reveals. Of those that raise nothing he clips what the first one would have
 * raised, so that every lock has the same attacks; fresh numbers he takes out of those alone that mixed some in. He has examples like
 * those of the authorized task, as these are public: without them healing a lock that nothing was done to first could do nothing.
 */
export function planOf(
  { goal, data: { spec: retain } }: PreparedModel,
  { budget, optimizers, attacks, locks: [first] }: ModelSettings,
  label: string,
  lock?: FrontierLock,
): AttackPlan {
  const [own = {}, ofFirst = {}] = [lock, first].map((each) => {
    const { method, options } = each ? parsed(each) : {};
    return method?.reveals?.(options) ?? {};
  });
  const known = knownOptions({ ...own, raised: own.raised ?? ofFirst.raised });
  const tried = own.mixed ? [...new Set([...attacks, unmixTransform.name])] : attacks;
  const transforms = { ...freeTransforms(tried), ...known };
  return { ...sweep({ ...goal, label, retain }, optimizers, budget, { attacks: tried, transforms }), trained: known };
}

/**
 * Says that the weights of a model are worth nothing to an attacker: its best attack cannot be told from the best of random weights and of
 * the outputs of the model, which whoever locks it publishes all the same. Undefined where they are worth something.
 *
 * @param rows - Of attacks on the unlocked model and on random weights.
 */
export function worthNothing(label: string, rows: readonly AttackRow[]): string | undefined {
  const sides = rows.flatMap((row): AttackRow[] => {
    if (row.countsAs === 'unlocked') return [row, { ...row, countsAs: 'locked' }];
    // Of what was not locked only the outputs count as nothing.
    return [row.countsAs === 'nothing' ? { ...row, countsAs: 'floor' } : row];
  });
  const found = (['score', 'cost'] as const).flatMap((measure) => attackersAdvantage(sides, measure) ?? []);
  if (found.length === 0 || found.some(isMeasured)) return undefined;
  const score = found.find(({ measure }) => measure === 'score');
  const reached = score && [score.unlocked, score.floor].map((row) => `${inWords(row)}, ${share(mean(scores(row)))}`);
  const numbers = reached ? `: ${reached[0]}, cannot be told from ${reached[1]}` : '';
  return `No lock of ${label} was drawn, as its weights are worth nothing to this attacker${numbers}.`;
}

/** Draws one lock, and attacks the draws together. */
export class Comparison {
  /** @param base - Rows of the unlocked model and of random weights, the same for all locks. */
  constructor(
    private readonly runner: Runner,
    private readonly model: Pick<FrontierModel, 'name' | 'label' | 'locksOf'>,
    private readonly prepared: PreparedModel,
    private readonly own: ModelSettings,
    private readonly base: readonly AttackRow[],
  ) {}

  /** Judges a lock. */
  judge(lock: FrontierLock): Promise<FrontierPoint> {
    const { method, options } = parsed(lock);
    return this.#judge(lock, { options, method: method.name, class: method.class }, method.name);
  }

  /** Judges a control as if it were a lock. */
  judgeControl({ lock, options, controls }: FrontierControl): Promise<FrontierPoint> {
    return this.#judge(lock, { options, method: `sham of ${lock.method}`, controls }, `${lock.method}-sham`);
  }

  async #judge(
    lock: FrontierLock,
    { options, ...facts }: Pick<FrontierPoint, 'method' | 'class' | 'controls'> & { readonly options: unknown },
    part: string,
  ): Promise<FrontierPoint> {
    const { runner, model, prepared, own } = this;
    const { model: from } = prepared.unlocked;
    const name = `${model.name}-${part}`;
    const drawn = `${model.locksOf ?? model.name}-${part}`;
    const draws = await this.#draw(lock, { options, label: facts.method, name: drawn });
    const made = draws.flatMap(({ made: each }) => each ?? []);
    const diverged = draws.length - made.length;
    const seconds = draws.flatMap(({ part: each }) => runner.seconds[each] ?? []);
    const about = {
      ...{ model: model.label, ...facts, kind: kindOf(from), options: lock.options ?? {} },
      ...(diverged > 0 && { diverged }),
      seconds: seconds.length > 0 ? mean(seconds) : Number.NaN,
    };
    const [first, ...others] = made.map(({ path }) => path);
    if (first === undefined) return { ...about, lost: [], kl: [], attack: '–' };
    const changes: UtilityChange[] = [];
    for (const each of made) changes.push(await utilityOf(runner, prepared.unlocked, each, prepared.data.test));
    const targets = { locked: first, ...(others.length > 0 && { lockedDraws: others }), head: prepared.head };
    const { rows } = await runner.attack(targets, { ...planOf(prepared, own, name, lock), from: ['locked'] });
    const all = [...this.base, ...rows];
    const [score, cost] = [attackersAdvantage(all, 'score'), attackersAdvantage(all, 'cost')];
    const { roles } = taskOf(from);
    const lostOf = (metric: string) =>
      changes.flatMap(({ before, after }) => {
        const [was, is] = [before, after].map(({ float32 }) => float32.metrics[metric]);
        return was === undefined ? [] : [(was ?? Number.NaN) - (is ?? Number.NaN)];
      });
    const areaLost = lostOf('auc');
    const unchanged = made.filter(({ info }) => info.steps === 0).length;
    if (unchanged > 0 && made.some(({ info }) => info.stepsTried > 0)) {
      const of = `${unchanged} of ${made.length} draws`;
      runner.notes.add(
        `${model.label}, ${facts.method}: ${of} are the unlocked model: no step stayed within the budget.`,
      );
    }
    const flops = made.flatMap(({ info }) => info.flops ?? []);
    return {
      ...about,
      lost: lostOf(roles.score),
      ...(areaLost.length > 0 && { areaLost }),
      kl: changes.flatMap(({ after }) => after.float32.metrics[roles.divergence] ?? []),
      score: leftOf(score),
      cost: leftOf(cost),
      attack: score ? inWords(score.locked) : '–',
      ...(flops.length > 0 && { flops: mean(flops) }),
    };
  }

  /** The draws of a lock; one that diverges is the same each time that it is drawn, so it is a result and no reason to end. */
  async #draw(
    lock: FrontierLock,
    { options, label, name }: { options: unknown; label: string; name: string },
  ): Promise<{ part: string; made?: MadeModel<LockedInfo> }[]> {
    const { runner, model, prepared, own } = this;
    const { train, validation, test, spec } = prepared.data;
    const { method } = parsed(lock);
    const adversary =
      prepared.proxy && method.proxies === 'required' ? (await loadData(prepared.proxy)).train : undefined;
    const { model: from } = prepared.unlocked;
    const draws = [];
    for (const seed of own.draws) {
      const part = `${name}-${seed}`;
      try {
        const given = { from, data: { train, validation, test, spec }, adversary, method, options };
        draws.push({ part, made: await runner.lock({ name: part, seed }, given) });
      } catch (error) {
        if (!(error instanceof DivergedError)) throw error;
        runner.context.progress.end('diverged');
        runner.notes.add(`${model.label}, ${label}: draw ${seed} ${error.message}.`);
        draws.push({ part });
      }
    }
    return draws;
  }
}

/** What is left of an advantage, as a result holds it. */
function leftOf(advantage: Advantage | undefined): AdvantageLeft | undefined {
  if (!advantage) return undefined;
  const { measure, locked, unlocked, floor, constant, overlooked } = advantage;
  const [ofLocked, ofUnlocked, ofFloor] = [locked, unlocked, floor].map((row) => reachOf(row, measure));
  return {
    ...boundsOf(advantage),
    reached: {
      locked: ofLocked,
      unlocked: ofUnlocked,
      floor: constant === undefined ? ofFloor : { ...ofFloor, value: Math.max(constant, ofFloor.value) },
    },
    ...(overlooked && { overlooked: { ...boundsOf(overlooked), reached: reachOf(overlooked.locked, measure) } }),
  };
}

function boundsOf({
  value: { ratio, low, high },
  isUpperBound,
  isLowerBound,
}: Pick<Advantage, 'value' | 'isUpperBound' | 'isLowerBound'>): LeftByAttack {
  return {
    ratio,
    ...(low !== undefined && { low, high }),
    ...(isUpperBound && { isUpperBound }),
    ...(isLowerBound && { isLowerBound }),
  };
}

/** What an attack reaches, and what one run of it computes. */
function reachOf(row: AttackRow, measure: Measure): AttackReach {
  const taken = costs(row);
  const flops = measuredTrials(row.result.trials).flatMap(({ spent, costFlops = spent?.flops }) => {
    return (measure === 'score' ? spent?.flops : costFlops) ?? [];
  });
  return {
    attack: inWords(row),
    value: mean(measure === 'score' ? scores(row) : taken.map(({ steps }) => steps)),
    ...(measure === 'cost' && taken.some(({ censored }) => censored) && { ranOut: true }),
    ...(flops.length > 0 && { flops: mean(flops) }),
  };
}

/** An attack in a few words. */
function inWords({ label, use, optimizer, trains }: AttackRow): string {
  return [label, use, ...(trains ? [optimizer] : [])].filter((word) => word !== undefined).join(', ');
}
