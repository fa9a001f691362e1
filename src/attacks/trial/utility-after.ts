import type { Dataset } from '../../data/index.js';
import { type ModelSpec, parameterSet, type StateDict } from '../../models/index.js';
import type { Evaluator, ParameterSet } from '../../training/index.js';
import { layerOrder } from '../layer-order.js';

/** The score of the authorized task before and after an attack. */
export interface TrialUtility {
  /** Of the model as it was released. */
  readonly before: number;
  /** Of the attacker's weights, where they were best at the unauthorized task. */
  readonly after: number;
}

/** Says what is left of the authorized task in an attacker's weights. */
export type JudgeUtility = (params: ParameterSet) => Promise<TrialUtility>;

/** What {@link judgeUtility} compares. */
export interface UtilityTarget {
  /** The model as it was released, with its own head. */
  readonly released: ModelSpec & { readonly weights: StateDict };
  /** Measures it. */
  readonly evaluator: Evaluator;
  /** Examples of the authorized task that nobody trained on. */
  readonly examples: Dataset;
  /** Weights that the attack began with, after its transforms. */
  readonly prepared: StateDict;
  /** Whether the attacked model has the released one's head, or one of its own. */
  readonly hasOwnHead: boolean;
}

/**
 * Judges an attacker's weights by the authorized task, with its head: his own where he trained that one on, or the one that he
 * began with, which he can keep beside his; whichever is better. A score that cannot be told is that of guessing.
 *
 * @param before - The released model's score, by its weights: it is measured once.
 */
export function judgeUtility(
  { released, evaluator, examples, prepared, hasOwnHead }: UtilityTarget,
  before: () => Promise<number>,
): JudgeUtility {
  const head = new Set(layerOrder(released).head);
  return async (params) => {
    const own = parameterSet(released.weights);
    const began = hasOwnHead ? own : parameterSet(prepared);
    const trained = overlaid(own, params, () => true);
    const kept = overlaid(
      overlaid(own, began, (name) => head.has(name)),
      params,
      (name) => !head.has(name),
    );
    const candidates = hasOwnHead || head.size === 0 ? [kept] : [trained, kept];
    return { before: await before(), after: Math.max(...(await authorizedScores(evaluator, candidates, examples))) };
  };
}

/** The score of weights on examples of their task. */
export async function authorizedScore(evaluator: Evaluator, params: ParameterSet, examples: Dataset): Promise<number> {
  return (await authorizedScores(evaluator, [params], examples))[0];
}

/** The scores of several sets of weights, which share arrays where they are the same. */
async function authorizedScores(
  evaluator: Evaluator,
  sets: readonly ParameterSet[],
  examples: Dataset,
): Promise<number[]> {
  const { task } = evaluator;
  return (await evaluator.evaluateAll(sets, examples)).map(({ metrics }) => {
    const score = metrics[task.roles.score] ?? Number.NaN;
    return Number.isFinite(score) ? score : task.guessing(examples);
  });
}

/** Values by name, those of another set where it has as many of that name and they are wanted. */
function overlaid(below: ParameterSet, above: ParameterSet, isWanted: (name: string) => boolean): ParameterSet {
  return new Map(
    Array.from(below, ([name, values]) => {
      const other = isWanted(name) ? above.get(name) : undefined;
      return [name, other?.length === values.length ? other : values];
    }),
  );
}
