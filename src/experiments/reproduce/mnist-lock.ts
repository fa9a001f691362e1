import type { AttackTargets } from '../../attacks/index.js';
import type { DataParts } from '../../data/index.js';
import { type SpecDefOptions, specDefOptions, specdef } from '../../locks/index.js';
import type { Model } from '../../models/index.js';
import { trainOptions } from '../jobs/train.js';
import type { Runner } from '../run/index.js';
import type { UtilityChange } from '../utility.js';
import { printedSpecDef, shamLock } from './common.js';

/** A lock of one kind, drawn once or several times. */
export interface DrawnLock {
  /** Name in files and labels of searches; none of the one as printed. */
  readonly suffix: string;
  /** What tables call it. */
  readonly label: string;
  /** What is attacked. */
  readonly paths: AttackTargets & { readonly unlocked: string };
  /** Utility on MNIST's test images, of each draw. */
  readonly utilities: readonly UtilityChange[];
  /** The largest singular value of any matrix after the lock, of each draw. */
  readonly sigmas: readonly number[];
}

/** How the model is locked. */
export interface LockCourse {
  /** Epochs of training, and of the lock. */
  readonly epochs: number;
  /** Draws of each lock: a lock is a random draw, too; default 1. */
  readonly draws?: number;
  /** Whether it is also locked with the budget on utility that locks have by default; default false. */
  readonly alsoBudgeted?: boolean;
  /** Whether there is a sham lock of the first kind, the control: all of its training but the lock; default false. */
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
  { epochs, draws = 1, alsoBudgeted = false, withSham = false }: LockCourse,
): Promise<DrawnLock[]> {
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
  const sham = withSham ? await shamLock(runner, unlocked, data, kinds[0].options) : undefined;
  const made: DrawnLock[] = [];
  for (const { suffix, label, options } of kinds) {
    const locked = [];
    for (let draw = 0; draw < draws; draw++) {
      const part = { name: `locked${suffix}${draw > 0 ? `-${draw + 1}` : ''}`, seed: runner.spec.seed + draw };
      locked.push(await runner.lock(part, { from: unlocked.model, data, method: specdef, options }));
    }
    const utilities: UtilityChange[] = [];
    for (const { model } of locked) {
      utilities.push(await runner.utility(unlocked.model, model, test));
    }
    const [first, ...others] = locked.map(({ path }) => path);
    made.push({
      suffix,
      label,
      paths: { unlocked: unlocked.path, locked: first, ...(others.length > 0 && { lockedDraws: others }), ...sham },
      utilities,
      sigmas: locked.map(({ info }) => Math.max(...info.spectra.map(({ after }) => after[0]))),
    });
  }
  return made;
}

/** The same lock, ended where it costs more utility than locks do by default. */
function budgeted(course: Partial<SpecDefOptions>): SpecDefOptions {
  const { utilityFloor, maxDrop, maxKl } = specDefOptions.parse({});
  return printedSpecDef({ ...course, utilityFloor, maxDrop, maxKl, evaluateEvery: 100 });
}

/** The utilities of some locks, by a name for each draw. */
export function utilityByDraw(locks: readonly DrawnLock[], model: string): Record<string, UtilityChange> {
  return Object.fromEntries(
    locks.flatMap(({ label, suffix, utilities }) =>
      utilities.map((utility, draw) => {
        const which = [...(suffix ? [label] : []), ...(utilities.length > 1 ? [`lock ${draw + 1}`] : [])];
        return [[model, ...which].join(', '), utility];
      }),
    ),
  );
}
