import { basename } from 'node:path';
import type { AttackTargets } from '../../attacks/index.js';
import type { Dataset } from '../../data/index.js';
import { type SpecDefOptions, specdef } from '../../locks/index.js';
import { type LockedInfo, lockDraws, type MadeModel, type Runner, type TaskData } from '../run/index.js';
import type { UtilityChange } from '../utility.js';

/** A lock that was drawn once or several times from one model: one draw says little of the next. */
export interface DrawnLock {
  /** The locked models, in order. */
  readonly locks: readonly MadeModel<LockedInfo>[];
  /** What is attacked: each attack takes one draw, by its own seed. */
  readonly paths: Pick<AttackTargets, 'lockedDraws'> & { readonly unlocked: string; readonly locked: string };
  /** Utility on the test examples, of each draw. */
  readonly utilities: readonly UtilityChange[];
  /** The largest singular value of any matrix before the lock. */
  readonly sigmaBefore: number;
  /** The largest singular value of any matrix after the lock, of each draw. */
  readonly sigmas: readonly number[];
}

/**
 * Locks copies of a model with SpecDef. The first draw is by the run's seed, the others by those after it; their folders are called as the
 * lock is, the second with `-2` behind it, and so on.
 *
 * @param lock - `name`: of the first draw's folder. `data`: what it is locked on. `test`: what utility is measured on.
 * @param draws - How many; default 1.
 */
export async function drawLocks(
  runner: Runner,
  unlocked: MadeModel,
  {
    name,
    data,
    test,
    options,
  }: { name: string; data: TaskData; test: NonNullable<TaskData['test']>; options: SpecDefOptions },
  draws = 1,
): Promise<DrawnLock> {
  const lock = { from: unlocked.model, data: { ...data, test }, method: specdef, options };
  const locks = await lockDraws(runner, { name }, lock, draws);
  const utilities: UtilityChange[] = [];
  for (const made of locks) utilities.push(await utilityOf(runner, unlocked, made, test));
  const [locked, ...lockedDraws] = locks.map(({ path }) => path);
  return {
    locks,
    paths: { unlocked: unlocked.path, locked, ...(lockedDraws.length > 0 && { lockedDraws }) },
    utilities,
    sigmaBefore: Math.max(...locks[0].info.spectra.map(({ before }) => before[0])),
    sigmas: locks.map(({ info }) => Math.max(...info.spectra.map(({ after }) => after[0]))),
  };
}

/** The control beside a lock, as often as it was drawn: copies that had its training and no lock. */
export interface DrawnShams {
  /** The models, in order. */
  readonly shams: readonly MadeModel<LockedInfo>[];
  /** What is attacked. */
  readonly paths: Pick<AttackTargets, 'sham' | 'shamDraws'>;
}

/** Draws the sham lock of {@link drawLocks}, with its seeds. */
export async function drawShams(
  runner: Runner,
  unlocked: MadeModel,
  { name = 'sham-locked', data, options }: { name?: string; data: TaskData; options: SpecDefOptions },
  draws = 1,
): Promise<DrawnShams> {
  const own = specdef.sham?.(options) ?? options;
  const shams = await lockDraws(runner, { name }, { from: unlocked.model, data, method: specdef, options: own }, draws);
  const [sham, ...shamDraws] = shams.map(({ path }) => path);
  return { shams, paths: { sham, ...(shamDraws.length > 0 && { shamDraws }) } };
}

/** What a lock cost on the test examples that it was judged on; where it was not, or only planned, that is measured. */
export async function utilityOf(
  runner: Runner,
  unlocked: Pick<MadeModel, 'model'>,
  { path, model, info }: MadeModel<LockedInfo>,
  test: Dataset,
): Promise<UtilityChange> {
  return info.test ?? runner.utility(unlocked.model, model, test, basename(path));
}

/** The utilities of a lock, by a name for each draw. */
export function utilityByDraw(
  name: string,
  { utilities }: Pick<DrawnLock, 'utilities'>,
): Record<string, UtilityChange> {
  const which = (draw: number) => (utilities.length > 1 ? `${name}, lock ${draw + 1}` : name);
  return Object.fromEntries(utilities.map((utility, draw) => [which(draw), utility]));
}

/** How far the largest singular value rose: `σ1 from 29.1 to 207.3, 210.4 at most`. */
export function sigmaInWords({ sigmaBefore, sigmas }: Pick<DrawnLock, 'sigmaBefore' | 'sigmas'>): string {
  return `σ1 from ${sigmaBefore.toFixed(1)} to ${sigmas.map((sigma) => sigma.toFixed(1)).join(', ')} at most`;
}
