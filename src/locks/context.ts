import type { Dataset } from '../data/index.js';
import type { EngineOptions, FlopTally } from '../engine/index.js';
import { type Model, type ModelSpec, parameterSet, writtenParameters } from '../models/index.js';
import { InputError } from '../registry/index.js';
import { taskOf } from '../tasks/index.js';
import { Evaluator, type ParameterSet, type Reference } from '../training/index.js';
import type { LockContext, UtilityMeter } from './lock-method.js';
import { type Draws, drawsOf, freshSecret, type LockSecret } from './secret.js';
import { UtilityGuard } from './utility-guard.js';

/** Examples, or how they are loaded when a lock method asks for them. */
type Offered = Dataset | (() => Promise<Dataset>);

/** What a lock method may ask for. */
export interface LockData {
  /** Examples of the authorized task, for a retain loss. */
  readonly train?: Offered;
  /** Examples of the authorized task that the utility is measured on. */
  readonly validation?: Offered;
  /** Examples of what an attacker is after; of several tasks, the first is the one that counts. */
  readonly adversary?: Offered | readonly Offered[];
}

/** A context, and what must be let go after the lock. */
export interface OpenLockContext extends LockContext {
  /** What all that it computed with the context's engine took, of interrupted runs too where a checkpoint knows. */
  readonly tally: FlopTally;
  /** Frees what was made for the method. */
  release(): Promise<void>;
}

/**
 * Makes the context of a lock: everything it offers is made when it is asked for, and once.
 *
 * @param lock - `secret`: decides what is drawn into the weights, as it is or how it is found; default a fresh one, so that no two
 *   locks are the same.
 */
export function lockContext(
  {
    model,
    data,
    seed,
    secret = freshSecret,
  }: { model: Model; data: LockData; seed: number; secret?: LockSecret | (() => LockSecret | Promise<LockSecret>) },
  more: Pick<LockContext, 'engine' | 'checkpoint' | 'hooks' | 'signal' | 'onStep' | 'onPass'> = {},
): OpenLockContext {
  const { weights } = model;
  const tally: FlopTally = { flops: 0 };
  const engine = { ...more.engine, tally };
  const evaluators: Evaluator[] = [];
  const [train, validation] = [data.train, data.validation].map(once);
  const tasks = [data.adversary ?? []].flat() as readonly Offered[];
  const adversaries = tasks.flatMap((offered) => once(offered) ?? []);
  const needed = (examples: (() => Promise<Dataset>) | undefined, what: string) => {
    if (examples) return examples();
    throw new InputError(`lock: expected ${what}, got none; give --data.name or --data.path`);
  };
  let meter: Promise<UtilityMeter> | undefined;
  let draws: Promise<Draws> | undefined;
  const trainExamples = async () => needed(train, 'training examples of the authorized task');
  const written = () => writtenParameters(model);
  const pass: LockContext['pass'] = async (what, total, act) => {
    const heard = more.onPass?.(what, total);
    const found = await act({ signal: more.signal, onExamples: (count) => heard?.examples(count) });
    heard?.end();
    return found;
  };
  const measureUtility = async (): Promise<UtilityMeter> => {
    const dataset = await needed(validation, 'validation examples of the authorized task');
    const evaluator = new Evaluator(model, engine);
    evaluators.push(evaluator);
    const original = await evaluator.original(parameterSet(weights), dataset);
    const measure = () => evaluator.evaluate(written(), dataset, { original });
    const other = async (rebuilt: ModelSpec) => {
      const own = new Evaluator(rebuilt, engine);
      evaluators.push(own);
      return (params: ParameterSet) => own.evaluate(params, dataset, { original });
    };
    const before = await pass('utility before', dataset.size, (watch) =>
      evaluator.evaluate(written(), dataset, { original, ...watch }),
    );
    return { task: evaluator.task, before, begin: before, measure, other };
  };
  return {
    ...more,
    engine,
    tally,
    model,
    weights,
    written,
    seed,
    draws: () => {
      draws ??= Promise.resolve(typeof secret === 'function' ? secret() : secret).then(drawsOf);
      return draws;
    },
    train: trainExamples,
    validation: async () => needed(validation, 'validation examples of the authorized task'),
    isJudged: validation !== undefined,
    adversary: async () => adversaries[0]?.(),
    adversaries: () => Promise.all(adversaries.map((load) => load())),
    utility: () => {
      meter ??= measureUtility();
      return meter;
    },
    original: originalReferences(model, parameterSet(weights), { train: trainExamples, pass, engine }),
    pass,
    guard: (budget, begin) => new UtilityGuard(parameterSet(weights), begin, budget, taskOf(model).roles, tally),
    release: async () => {
      await Promise.all(evaluators.map((evaluator) => evaluator.release()));
    },
  };
}

/** What weights say of examples, all of it or the most likely answers of each token: found once for each question. */
export function originalReferences(
  model: ModelSpec,
  params: ParameterSet,
  { train, pass, engine }: { train: () => Promise<Dataset>; pass: LockContext['pass']; engine?: EngineOptions },
): LockContext['original'] {
  const known = new Map<Dataset, Map<number | undefined, Promise<Reference>>>();
  const ask = async (dataset: Dataset, topK: number | undefined): Promise<Reference> => {
    const evaluator = new Evaluator(model, engine);
    try {
      return await pass('what the original says', dataset.size, async (watch): Promise<Reference> => {
        if (topK === undefined) return evaluator.original(params, dataset, watch);
        return { top: await evaluator.topOutputs(params, dataset, topK, watch) };
      });
    } finally {
      await evaluator.release();
    }
  };
  return async (topK, given) => {
    const dataset = given ?? (await train());
    const ofExamples = known.get(dataset) ?? new Map<number | undefined, Promise<Reference>>();
    const found = ofExamples.get(topK) ?? ask(dataset, topK);
    known.set(dataset, ofExamples.set(topK, found));
    return found;
  };
}

/** Examples as a function that loads them at its first call. */
function once(offered: Offered | undefined): (() => Promise<Dataset>) | undefined {
  if (offered === undefined) return undefined;
  let loaded: Promise<Dataset> | undefined;
  return () => {
    loaded ??= typeof offered === 'function' ? offered() : Promise.resolve(offered);
    return loaded;
  };
}
