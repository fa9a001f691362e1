import type { ModelSpec, WeightShapes } from '../../models/index.js';
import { InputError, matchesAny } from '../../registry/index.js';
import { type Joint, jointsOf, unitsOf, weightsOfUnit } from '../../symmetries/index.js';
import { utilityFloor } from '../budget.js';
import type { LockContext, LockPlan, LockResult } from '../lock-method.js';
import type { SymmetryOptions } from './options.js';
import { OutputErrors } from './output-errors.js';

/**
 * Changes weights in one step by what does not change the function; measured beside the original where there are examples of the
 * authorized task, else on noise. What rounding made of it must be within the budget, or the weights go back.
 *
 * @param plan - What is done to `context.weights`.
 */
export async function symmetryLock(
  context: LockContext,
  options: SymmetryOptions,
  { changes, story }: LockPlan,
): Promise<LockResult> {
  const { hooks, onStep, weights } = context;
  const change = () => {
    for (const each of changes) each.apply(weights);
  };
  if (!context.isJudged) {
    const errors = new OutputErrors(context);
    try {
      await errors.before(weights);
      change();
      const outputError = await errors.after(weights);
      await hooks?.onStart?.(0);
      onStep?.({ step: 1 });
      return { steps: 1, stepsTried: 1, stoppedByBudget: false, story: { ...story, outputError } };
    } finally {
      await errors.release();
    }
  }
  const meter = await context.utility();
  const { before, begin } = meter;
  const budget = { floor: utilityFloor(options, meter), maxKl: options.maxKl, patience: 1 };
  const guard = context.guard(budget, begin);
  change();
  const utility = await meter.measure();
  await hooks?.onStart?.(0);
  guard.check(1, utility);
  onStep?.({ step: 1, utility });
  guard.lastGood.goBack();
  const { step: steps, evaluation: after } = guard.lastGood;
  const missed = guard.nearest && { nearest: guard.nearest };
  return { steps, stepsTried: 1, stoppedByBudget: guard.endedOutside, budget, before, after, ...missed, story };
}

/**
 * The joints of a model whose weights may all be changed.
 *
 * @throws InputError where there are none.
 */
export function openJoints(
  model: ModelSpec,
  weights: WeightShapes,
  { method, include, exclude }: { method: string } & Pick<SymmetryOptions, 'include' | 'exclude'>,
): Joint[] {
  const [wanted, unwanted] = [matchesAny(include), matchesAny(exclude)];
  const found = jointsOf(model, weights).filter((joint) =>
    namesAt(joint).every((name) => wanted(name) && !unwanted(name)),
  );
  if (found.length > 0) return found;
  throw new InputError(
    `${method}: expected a network that can be written otherwise (attention, norms, gated layers, units behind ReLUs), found none among ${include.join(', ')} without ${exclude.join(', ') || 'nothing'}`,
  );
}

/** Names of all weights that a joint touches. */
export function namesAt(joint: Joint): string[] {
  return [...new Set(unitsOf(joint).flatMap(weightsOfUnit))];
}

/** Names of the matrices among them. */
export function matricesAt(joint: Joint, weights: WeightShapes): string[] {
  return namesAt(joint).filter((name) => (weights.get(name)?.shape.length ?? 0) > 1);
}
