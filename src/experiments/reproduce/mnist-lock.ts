import type { AttackRow } from '../../attacks/index.js';
import type { DataParts } from '../../data/index.js';
import { type SpecDefOptions, specDefOptions } from '../../locks/index.js';
import type { Model } from '../../models/index.js';
import { trainOptions } from '../jobs/train.js';
import type { Runner } from '../run/index.js';
import type { UtilityChange } from '../utility.js';
import { printedSpecDef } from './common.js';
import { type DrawnLock, type DrawnShams, drawLocks, drawShams, utilityByDraw } from './drawn-locks.js';

/** A lock of one kind, drawn once or several times. */
export interface KindOfLock extends DrawnLock {
  /** Name in files and labels of searches; none of the one as printed. */
  readonly suffix: string;
  /** What tables call it. */
  readonly label: string;
  /** What is attacked, with the control where there is one. */
  readonly paths: DrawnLock['paths'] & Partial<DrawnShams['paths']>;
}

/** How the model is locked. */
export interface LockCourse {
  /** Epochs of training, and of the lock. */
  readonly epochs: number;
  /** Draws of each lock: a lock is a random draw, too; default 1. */
  readonly draws?: number;
  /** Whether it is also locked with the budget on utility that locks have by default; default false. */
  readonly alsoBudgeted?: boolean;
  /** Whether there are sham locks of the first kind, the control, as many: all of its training but the lock; default false. */
  readonly withSham?: boolean;
}

/**
 * What Table 1 and Figure 4 begin with (paper, Appendix B.2): a model trained on MNIST with Adadelta, learning rate 1,
 * falling by 0.7 each epoch, batches of 32, and locked with the same course, α 0.5, k 1, as printed in Algorithm 1.
 */
export async function lockOnMnist(
  runner: Runner,
  start: () => Promise<Model>,
  { train, validation, test }: DataParts,
  { epochs, draws, alsoBudgeted = false, withSham = false }: LockCourse,
): Promise<KindOfLock[]> {
  const data = { train, validation };
  const schedule = { schedule: 'step', step: { gamma: 0.7 } };
  const course = { epochs, ...schedule, optimizer: 'adadelta', learningRate: 1, batchSize: 32 };
  const training = trainOptions.parse({ ...course, evaluateEvery: 100_000 });
  const unlocked = await runner.train({ name: 'unlocked' }, { from: start, data, options: training });
  const kinds = [
    { suffix: '', label: 'SpecDef', options: printedSpecDef(course) },
    ...(alsoBudgeted
      ? [{ suffix: '-budgeted', label: 'SpecDef within a utility budget', options: budgeted(course) }]
      : []),
  ];
  const sham = withSham ? await drawShams(runner, unlocked, { data, options: kinds[0].options }, draws) : undefined;
  const made: KindOfLock[] = [];
  for (const { suffix, label, options } of kinds) {
    const lock = await drawLocks(runner, unlocked, { name: `locked${suffix}`, data, test, options }, draws);
    made.push({ suffix, label, ...lock, paths: { ...lock.paths, ...sham?.paths } });
  }
  return made;
}

/** Whether a row of the first kind's attacks stands beside the other kinds, too: the control is the first's alone. */
export function isOfAllKinds({ start }: Pick<AttackRow, 'start'>): boolean {
  return start !== 'locked' && start !== 'sham-locked';
}

/** The same lock, ended where it costs more utility than locks do by default. */
function budgeted(course: Partial<SpecDefOptions>): SpecDefOptions {
  const { utilityFloor, maxDrop, maxKl } = specDefOptions.parse({});
  return printedSpecDef({ ...course, utilityFloor, maxDrop, maxKl, evaluateEvery: 100 });
}

/** The utilities of all kinds, by a name for each draw. */
export function utilityOfKinds(kinds: readonly KindOfLock[], model: string): Record<string, UtilityChange> {
  const named = kinds.map(({ suffix, label, ...lock }) => utilityByDraw(suffix ? `${model}, ${label}` : model, lock));
  return Object.assign({}, ...named);
}
