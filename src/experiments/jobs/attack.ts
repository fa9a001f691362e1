import { rm } from 'node:fs/promises';
import {
  type AttackFacts,
  type AttackRow,
  type AttackTargets,
  type AttackTask,
  attacksTooLong,
  compositionOf,
  drawsLeftOut,
  drawsNotSearched,
  impossibleSearch,
  type Measure,
  missingTrials,
  optimizersLeftOut,
  planAttacks,
  plannedSearches,
  plannedStarts,
  runAttackTasks,
  type SearchResult,
  trainedParts,
  trialCount,
} from '../../attacks/index.js';
import type { EngineOptions } from '../../engine/index.js';
import type { RunFolder } from '../../evidence/index.js';
import { InputError } from '../../registry/index.js';
import type { PhaseProgress } from '../progress.js';
import { type AttackPlan, requireOwnNames } from './attack-plan.js';
import { attackWork, trackTrials } from './attack-work.js';
import { searchKeys } from './search-key.js';
import { type AfterPart, type SearchFound, type SearchPart, SplitSearch } from './split-search.js';

/** A search of a plan, and what its rows say of it. */
export interface LabelledTask {
  readonly facts: AttackFacts;
  readonly measures: readonly Measure[];
  readonly task: AttackTask;
}

/**
 * The searches of a plan, in the order of its table, what is left out, and bytes of the weights of the largest model.
 *
 * @throws InputError where two of them would have one name.
 */
export async function labelledTasks(
  targets: AttackTargets,
  { budgets, label, notes: said = [], ...choice }: AttackPlan,
) {
  const from = await plannedStarts(targets);
  const planned = planAttacks(from, choice);
  const tasks = budgets.flatMap(({ measures, setting }) =>
    plannedSearches(planned, setting, choice).flatMap(({ facts, task }): LabelledTask[] => {
      const { kind, start } = facts;
      const { countsSteps = true } = trainedParts.get(task.trained?.name ?? 'all');
      const own = countsSteps ? measures : measures.filter((measure) => measure === 'score');
      if (own.length === 0) return [];
      const parts = [label, own.join('-'), kind, task.optimizer.name, start.replace(' ', '-')];
      return [{ facts, measures: own, task: { ...task, id: parts.filter((part) => part !== undefined).join('-') } }];
    }),
  );
  requireOwnNames(
    tasks.map(({ facts, task }) => ({ name: task.id, attack: facts.kind, optimizer: task.optimizer.name })),
  );
  const notes = budgets.flatMap(({ setting }) => [
    ...optimizersLeftOut(planned, setting),
    ...attacksTooLong(planned, setting, choice),
    ...drawsLeftOut(planned, setting),
  ]);
  const bytesOf = ({ model }: (typeof from)[number]) =>
    [...model.weights.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  const all = [...said, ...planned.notes, ...notes, ...drawsNotSearched(tasks)];
  return { tasks, notes: [...new Set(all)], weightBytes: Math.max(...from.map(bytesOf)) };
}

/** How much a plan is: its trials at most, and what it leaves out, one sentence each. */
export async function attackExtent(
  targets: AttackTargets,
  plan: AttackPlan,
): Promise<{ trials: number; notes: readonly string[] }> {
  const { tasks, notes } = await labelledTasks(targets, plan);
  return { trials: tasks.reduce((sum, { task }) => sum + trialCount(task.budget), 0), notes };
}

/** What {@link attackJob} works with. */
export interface AttackJobContext {
  /** Where finished searches and trials are kept. */
  readonly folder: Pick<RunFolder, 'checkpointPath'>;
  /** Processes that search side by side; 0: none but this one. */
  readonly workers: number;
  /** Device and threads of the run; the processes share the threads. */
  readonly engine?: EngineOptions;
  /** Ends the work, resumable. */
  readonly signal?: AbortSignal;
  /** Shows how far it has come. */
  readonly progress: PhaseProgress;
}

/** What attacks found. */
export interface AttackJobResult {
  /** All searches. */
  readonly rows: readonly AttackRow[];
  /** What was left out because it could do nothing, and which options had no effect: one sentence each. */
  readonly notes: readonly string[];
  /** Seconds of each trial, measurements included, by the name of its search, in order: those of the search first. */
  readonly seconds: SecondsOfTrials;
}

/** Seconds of trials by the name of their search. */
export type SecondsOfTrials = Readonly<Record<string, readonly number[]>>;

/** The engine of one of several processes: they share the run's threads. */
function workerEngine(engine: EngineOptions, workers: number): EngineOptions {
  return { ...engine, threads: Math.max(1, Math.floor((engine.threads ?? 1) / Math.max(workers, 1))) };
}

/**
 * Attacks a locked model, the unlocked one and random weights with the same searches. Every trial is on disk before it is
 * counted: a run that was interrupted goes on at the trial, and ends with the same bits.
 */
export async function attackJob(
  targets: AttackTargets,
  plan: AttackPlan,
  { folder, workers, engine, signal, progress }: AttackJobContext,
): Promise<AttackJobResult> {
  const { tasks, notes, weightBytes } = await labelledTasks(targets, plan);
  const results = new Map<string, SearchResult>();
  const times: Record<string, readonly number[]> = {};
  const take = ({ id }: AttackTask, { result, seconds }: SearchFound) => {
    results.set(id, result);
    times[id] = seconds;
  };
  const tracker = trackTrials(
    progress,
    plan.title ?? `attack ${plan.label ?? ''}`.trim(),
    tasks.map(({ task }) => task),
  );
  // What transforms train is made once for all that begin with it, and need not be made again after an interruption.
  const store = folder.checkpointPath('prepared');
  const keyOf = searchKeys();
  const open: SplitSearch[] = [];
  for (const { task } of tasks) {
    const search = new SplitSearch(task, await keyOf(task), folder);
    const found = await search.open();
    if (found) {
      take(task, found);
      tracker.skip(task);
      continue;
    }
    open.push(search);
    tracker.skipTrials(task, search.done);
  }
  const failures: FailedSearch[] = [];
  const ofMemory: string[] = [];
  const parts = new Map<AttackTask, { readonly part: SearchPart; readonly search: SplitSearch }>();
  const partOf = (task: AttackTask) => {
    const known = parts.get(task);
    if (!known) throw new TypeError(`${task.id}: expected a part of a search`);
    return known;
  };
  const tasksOf = (search: SplitSearch, some: readonly SearchPart[]) => {
    for (const part of some) parts.set(part.task, { part, search });
    return some.map(({ task }) => task);
  };
  const next = new Map<AttackTask, readonly AttackTask[]>();
  const after = (task: AttackTask, { found, error, parts: more = [] }: AfterPart) => {
    const { search } = partOf(task);
    if (found) take(search.task, found);
    // One that fails is tried again when the run is, and ends no other.
    if (error) failures.push({ task: search.task, error });
    next.set(task, tasksOf(search, more));
  };
  const first = longestFirst(open).flatMap((search) => tasksOf(search, search.begin()));
  await runAttackTasks(first, {
    workers,
    weightBytes,
    atOnce: open.reduce((sum, { width }) => sum + width, 0),
    onFewer: (count) => {
      const most = count === 1 ? '1 process' : `${count} processes`;
      ofMemory.push(`Searched by ${most} at once, not ${workers}: memory holds no more of this model.`);
    },
    engine: engine && workerEngine(engine, workers),
    store,
    signal,
    finished: (task) => partOf(task).part.finished(),
    onTrial: async (task, trial, index, seconds) => {
      const { part, search } = partOf(task);
      await part.onTrial(trial, index, seconds);
      tracker.trial(search.task, trial.tokens);
    },
    onSteps: (task, more) => tracker.steps(partOf(task).search.task, more),
    onResult: async (task, result) => after(task, await partOf(task).part.onResult(result)),
    onFailure: async (task, error) => after(task, await partOf(task).part.onFailure(error)),
    next: (task) => next.get(task) ?? [],
  });
  // A search that failed is tried again when the run is, and then begins with them.
  if (failures.length === 0) await rm(store, { recursive: true, force: true });
  tracker.end();
  // Nothing went well: then it is no property of the attacks.
  if (failures.length > 0 && results.size === 0) throw failures[0].error;
  const seconds = Object.fromEntries(
    tasks.flatMap(({ task: { id } }) => (times[id] === undefined ? [] : [[id, times[id]]])),
  );
  return {
    rows: rowsOf(tasks, results, failures),
    notes: [...notes, ...ofMemory, ...failureNotes(failures, results), ...transformNotes(results)],
    seconds,
  };
}

/**
 * So that no process idles while another has a long search left. What fits classifiers takes no steps, but time that these do not
 * foretell, and comes first.
 */
function longestFirst(searches: readonly SplitSearch[]): SplitSearch[] {
  const length = ({ task }: SplitSearch) =>
    trainedParts.get(task.trained?.name ?? 'all').trains ? attackWork(task) : Number.MAX_VALUE;
  return searches.toSorted((a, b) => length(b) - length(a));
}

/** A search without a result; with an InputError one that cannot be done, however often it is tried. */
export interface FailedSearch {
  readonly task: AttackTask;
  readonly error: Error;
}

/** What is to be said of searches and trials that failed, one sentence each. */
export function failureNotes(failures: readonly FailedSearch[], results: ReadonlyMap<string, SearchResult>): string[] {
  const ofTrials = [...results].flatMap(([id, { search, trials }]) => {
    const failed = [...search, ...trials].filter(({ end }) => end === 'failed');
    if (failed.length === 0) return [];
    const what = `${failed.length} of ${search.length + trials.length} trials of ${id} failed`;
    return [`${what} and are missing: ${failed[0].failure}.`];
  });
  const ofSearches = failures.map(({ task: { id }, error }) =>
    error instanceof InputError
      ? `${id} does not work here: ${error.message}.`
      : `Not measured: ${id} failed (${error.message}).`,
  );
  return [...ofSearches, ...ofTrials];
}

/** What came of transforms otherwise than their names say, one sentence each. */
export function transformNotes(results: ReadonlyMap<string, SearchResult>): string[] {
  const found = new Map<string, { readonly ids: string[]; count: number; of: number }>();
  for (const [id, { search, trials }] of results) {
    const all = [...search, ...trials];
    for (const note of new Set(all.flatMap(({ before }) => before?.notes ?? []))) {
      const known = found.get(note) ?? { ids: [], count: 0, of: 0 };
      known.ids.push(id);
      known.count += all.filter(({ before }) => before?.notes?.includes(note)).length;
      known.of += all.length;
      found.set(note, known);
    }
  }
  return Array.from(
    found,
    ([note, { ids, count, of }]) => `In ${count} of ${of} trials of ${ids.join(', ')}: ${note}.`,
  );
}

/** One row for each search and measure, of those that have a result, and of those that cannot be done. */
export function rowsOf(
  tasks: readonly LabelledTask[],
  results: ReadonlyMap<string, SearchResult>,
  failures: readonly FailedSearch[] = [],
): AttackRow[] {
  const impossible = new Map(
    failures.flatMap(({ task, error }) =>
      error instanceof InputError ? [[task.id, impossibleSearch(task.budget, error)]] : [],
    ),
  );
  return tasks.flatMap(({ task, facts, measures }) => {
    const result = results.get(task.id) ?? impossible.get(task.id);
    if (!result) return [];
    const { name: optimizer, options } = task.optimizer;
    return measures.map((measure): AttackRow => {
      const composition = compositionOf(task);
      const failed = missingTrials(result.trials);
      const missing = failed && { ...failed, ...(impossible.has(task.id) && { impossible: true }) };
      const draws = task.start.kind === 'model' ? (task.start.draws?.length ?? 0) + 1 : 1;
      return {
        ...{ ...facts, search: task.id, composition, measure, optimizer, options, budget: task.steps, result },
        ...(draws > 1 && { draws }),
        ...(missing && { missing }),
      };
    });
  });
}
