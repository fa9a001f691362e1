import { readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { z } from 'zod';
import { parameterSet } from '../models/index.js';
import { InputError, OptionError } from '../registry/index.js';
import type { Evaluation } from '../tasks/index.js';
import { originalReferences } from './context.js';
import { joinKnowledge } from './knowledge.js';
import type { LockClass, LockContext, LockMethod, LockResult, LockTraining, UtilityMeter } from './lock-method.js';
import { OutputErrors } from './symmetry/output-errors.js';

/** What several stages leave is at most as easily undone as the strongest of them. */
const strength: readonly LockClass[] = ['symmetry', 'off-manifold', 'removal'];

/** What a method locks, as {@link LockMethod.locks}; an option that is wrong has the method's name before its own. */
export function namesLocked<Options>(
  { name, locks }: LockMethod<Options>,
  ...given: Parameters<LockMethod<Options>['locks']>
): readonly string[] {
  try {
    return locks(...given);
  } catch (error) {
    // Of several stages the one that is wrong has said which it is.
    if (!(error instanceof OptionError) || error.key.includes('.')) throw error;
    throw new OptionError(`${name}.${error.key}`, error.complaint, { cause: error });
  }
}

/** Options of a lock of several stages: those of each under its name. */
export type StageOptions = Readonly<Record<string, unknown>>;

/**
 * One lock of several, one after the other. Utility, budgets and retain losses of all are beside the model before the first; each stage
 * begins with the last weights of the one before that were within its budget.
 *
 * @param methods - Two or more; of one that is named twice both stages have the same options.
 * @throws InputError where one makes another architecture of the model.
 */
export function stagedLock(methods: readonly LockMethod[]): LockMethod<StageOptions> {
  const rebuilding = methods.find(({ rebuilds }) => rebuilds);
  if (rebuilding) {
    throw new InputError(
      `${rebuilding.name}: expected it alone, as it makes another architecture of the model, got ${methods.map(({ name }) => name).join(',')}`,
    );
  }
  const optionsOf = (options: StageOptions, { name }: LockMethod) => options[name];
  const longest = methods.filter(({ training }) => training);
  const memory = (options: StageOptions) =>
    longest
      .map((method) => method.training?.(optionsOf(options, method)))
      .flatMap((training) => training ?? [])
      .reduce((a, b) => (heldBy(b) > heldBy(a) ? b : a));
  return {
    name: methods.map(({ name }) => name).join(','),
    description: `${methods.map(({ name }) => name).join(', then ')}`,
    class: methods.map((method) => method.class).reduce((a, b) => (strength.indexOf(b) > strength.indexOf(a) ? b : a)),
    undoneBy: [...new Set(methods.map(({ name, undoneBy }) => `${undoneBy} (${name})`))].join('; and '),
    options: z.strictObject(
      Object.fromEntries(methods.map(({ name, options }) => [name, options])),
    ) as unknown as LockMethod<StageOptions>['options'],
    needsData: methods.some(({ needsData }) => needsData),
    ...proxiesOf(methods),
    steps: (options, size) => methods.reduce((sum, method) => sum + method.steps(optionsOf(options, method), size), 0),
    ...(longest.length > 0 && { training: memory }),
    moreGradients: (options) => {
      const own = methods.map((method) => {
        const given = optionsOf(options, method);
        // By their steps, of which those in epochs count as of one example.
        return { steps: method.steps(given, 1), more: method.moreGradients?.(given) ?? 0 };
      });
      const all = own.reduce((sum, { steps }) => sum + steps, 0);
      return own.reduce((sum, { steps, more }) => sum + (steps / Math.max(all, 1)) * more, 0);
    },
    ...(methods.some(({ draws }) => draws) && {
      draws: (options) => methods.some((method) => method.draws?.(optionsOf(options, method)) ?? false),
    }),
    locks: (weights, options, model) => [
      ...new Set(methods.flatMap((method) => namesLocked(method, weights, optionsOf(options, method), model))),
    ],
    reveals: (options) => joinKnowledge(methods.map((method) => method.reveals?.(optionsOf(options, method)) ?? {})),
    // A stage that has no control does not train: without it, what is left is what the others' training does.
    ...(methods.every(({ sham }) => sham) && {
      sham: (options) =>
        Object.fromEntries(methods.map((method) => [method.name, method.sham?.(optionsOf(options, method))])),
    }),
    glance: ({ stage, ...report }) => {
      const method = methods[Number(stage) - 1];
      return [method?.name, method?.glance?.(report)].filter((text) => text).join(': ');
    },
    run: (context, options) => runStages(methods, context, options),
  };
}

/** A lock that needs proxies is one that has a stage which does. */
function proxiesOf(methods: readonly LockMethod[]): Pick<LockMethod, 'proxies'> {
  const all = methods.flatMap(({ proxies }) => proxies ?? []);
  if (all.length === 0) return {};
  return { proxies: all.includes('required') ? 'required' : 'optional' };
}

async function runStages(
  methods: readonly LockMethod[],
  context: LockContext,
  options: StageOptions,
): Promise<LockResult> {
  if (context.isJudged || methods.some(({ needsData }) => needsData)) {
    // Before the first stage.
    const meter = await context.utility();
    return resultOf(await eachStage(methods, context, options), methods, meter);
  }
  const errors = new OutputErrors(context);
  try {
    await errors.before(context.weights);
    const found = await resultOf(await eachStage(methods, context, options), methods);
    return { ...found, story: { ...found.story, outputError: await errors.after(context.weights) } };
  } finally {
    await errors.release();
  }
}

/** Runs the stages one after the other. */
async function eachStage(
  methods: readonly LockMethod[],
  context: LockContext,
  options: StageOptions,
): Promise<LockResult[]> {
  const { model, engine, checkpoint, hooks, onStep } = context;
  const start = new Map([...parameterSet(context.weights)].map(([name, values]) => [name, values.slice()]));
  const original = originalReferences(model, start, { train: () => context.train(), pass: context.pass, engine });
  const trained = methods.some(({ needsData }) => needsData) ? (await context.train()).size : 0;
  const results: LockResult[] = [];
  let offset = 0;
  for (const [index, method] of methods.entries()) {
    const own = options[method.name];
    const before = offset;
    const left = await leftBy(results.at(-1), context);
    // What a later stage has begun with is done; a method without checkpoints does it again, and has told of it.
    const isDone = checkpoint !== undefined && (await hasBegun(checkpoint.path, index + 1));
    const result = await method.run(
      {
        ...context,
        original,
        draws: () => context.draws().then((draws) => (purpose) => draws(`${purpose}${again(methods, index)}`)),
        utility: () => context.utility().then((meter) => ({ ...meter, ...(left && { begin: left }) })),
        checkpoint: checkpoint && { ...checkpoint, path: `${checkpoint.path}-${index + 1}` },
        hooks: isDone
          ? undefined
          : hooks && {
              ...hooks,
              onStart: async (step) => hooks.onStart?.(before + step),
            },
        onStep: isDone ? undefined : (report) => onStep?.({ ...report, step: before + report.step, stage: index + 1 }),
      },
      own,
    );
    results.push(result);
    offset += method.steps(own, trained);
  }
  return results;
}

/** Utility of what a stage left, where it can be judged; undefined before the first one. */
async function leftBy(result: LockResult | undefined, context: LockContext): Promise<Evaluation | undefined> {
  if (!result || !context.isJudged) return undefined;
  return result.after ?? (await context.utility()).measure();
}

/** What the stages come to together. */
async function resultOf(
  results: readonly LockResult[],
  methods: readonly LockMethod[],
  meter?: UtilityMeter,
): Promise<LockResult> {
  const stages = results.map(({ before: _, story, ...result }, index) => ({
    method: methods[index].name,
    ...plain(result),
    ...(story && { story }),
  }));
  // What one that went back was allowed says nothing of the weights.
  const last = results.findLast(({ steps }) => steps > 0) ?? results.at(-1);
  const sum = (of: (result: LockResult) => number) => results.reduce((total, result) => total + of(result), 0);
  return {
    steps: sum(({ steps }) => steps),
    stepsTried: sum(({ stepsTried }) => stepsTried),
    stoppedByBudget: results.some(({ stoppedByBudget }) => stoppedByBudget),
    ...(last?.budget && { budget: last.budget }),
    ...(last?.nearest && { nearest: last.nearest }),
    ...(meter && { before: meter.before, after: await meter.measure() }),
    story: { stages },
  };
}

/** Tells a stage from an earlier one of the same method. */
function again(methods: readonly LockMethod[], index: number): string {
  const earlier = methods.slice(0, index).filter((method) => method === methods[index]).length;
  return earlier === 0 ? '' : ` ${earlier + 1}`;
}

/** Whether a checkpoint of a stage after the first `done` ones is there. */
async function hasBegun(path: string, done: number): Promise<boolean> {
  const names = await readdir(dirname(path)).catch(() => [] as string[]);
  return names.some((name) => {
    const rest = name.startsWith(`${basename(path)}-`) ? name.slice(basename(path).length + 1) : '';
    return Number.parseInt(rest, 10) > done;
  });
}

/** A result as plain data. */
function plain({ after, ...rest }: Omit<LockResult, 'before' | 'story'>) {
  return { ...JSON.parse(JSON.stringify(rest)), ...(after && { after: JSON.parse(JSON.stringify(after.metrics)) }) };
}

/** What a method's steps hold, in examples at a time. */
function heldBy({ batchSize, accumulate = 1, morePrograms = 0 }: LockTraining): number {
  return (batchSize / accumulate) * (1 + morePrograms);
}
