import { stat } from 'node:fs/promises';
import {
  type AttackRow,
  type AttackTask,
  attackSearches,
  attacks,
  isAvailable,
  type Measure,
  runAttackTasks,
  type SearchResult,
  type StartName,
  searches,
  type TransformOptions,
  trialCount,
} from '../../attacks/index.js';
import type { EngineOptions } from '../../engine/index.js';
import type { RunFolder } from '../../evidence/index.js';
import { readJsonFile, writeFileAtomic } from '../../formats/index.js';
import type { PhaseProgress } from '../progress.js';
import type { AttackPlan } from './attack-options.js';
import { trackTrials } from './attack-work.js';

/** Model directories that are attacked. */
export interface AttackTargets {
  /** The released, locked model. */
  readonly locked: string;
  /** The model before the lock, for comparison; without it nothing says what the lock costs an attacker. */
  readonly unlocked?: string;
  /** Their configuration, for directories without `config.json`. */
  readonly config?: Readonly<Record<string, unknown>>;
}

interface LabelledTask extends Pick<AttackRow, 'start' | 'attack'> {
  readonly measures: readonly Measure[];
  readonly task: AttackTask;
}

/** The searches of a plan, in the order of its table. */
function labelledTasks(
  { locked, unlocked, config }: AttackTargets,
  { budgets, transforms = {}, adaptiveOptimizers, fineTuneOnly, label }: AttackPlan,
): LabelledTask[] {
  const all = budgets.flatMap(({ measures, setting }) => {
    const labelled = (start: StartName, attack: string, tasks: Omit<AttackTask, 'id'>[]): LabelledTask[] =>
      tasks.map((task) => {
        const parts = [label, measures.join('-'), attack, task.optimizer.name, start.replace(' ', '-')];
        const id = parts.filter((part) => part !== undefined).join('-');
        return { start, attack, measures, task: { ...task, id } };
      });
    const on = (start: StartName, path: string, available: TransformOptions) =>
      attacks
        .entries()
        .filter((attack) => isAvailable(attack, available))
        .flatMap((attack) => {
          const optimizers = setting.optimizers.slice(0, attack.adaptive ? adaptiveOptimizers : undefined);
          const from = { kind: 'model', path, config } as const;
          return labelled(start, attack.name, attackSearches(attack, from, { ...setting, optimizers }, available));
        });
    return [
      // The same attacks, but for clipping: nothing of the unlocked model was raised.
      ...(unlocked === undefined ? [] : on('unlocked', unlocked, { ...transforms, clip: undefined })),
      ...on('locked', locked, transforms),
      ...labelled(
        'random weights',
        'fine-tune',
        searches('fine-tune', { kind: 'random', like: locked, config }, setting),
      ),
    ];
  });
  if (!fineTuneOnly) return all;
  return all.filter(({ start, attack }) => attack === 'fine-tune' && fineTuneOnly.includes(start));
}

/** Number of trials of a plan at most. */
export function attackTrials(targets: AttackTargets, plan: AttackPlan): number {
  return labelledTasks(targets, plan).reduce((sum, { task }) => sum + trialCount(task.budget), 0);
}

/** What {@link attackJob} works with. */
export interface AttackJobContext {
  /** Where finished searches are kept. */
  readonly folder: RunFolder;
  /** Processes that search side by side; 0: none but this one. */
  readonly workers: number;
  /** Device and threads of the run; the processes share the threads. */
  readonly engine?: EngineOptions;
  /** Ends the work, resumable. */
  readonly signal?: AbortSignal;
  /** Shows how far it has come. */
  readonly progress: PhaseProgress;
}

/** The engine of one of several processes: they share the run's threads. */
function workerEngine(engine: EngineOptions, workers: number): EngineOptions {
  return { ...engine, threads: Math.max(1, Math.floor((engine.threads ?? 1) / Math.max(workers, 1))) };
}

/** Attacks a locked model, the unlocked one and random weights with the same searches; finished ones survive a restart. */
export async function attackJob(
  targets: AttackTargets,
  plan: AttackPlan,
  { folder, workers, engine, signal, progress }: AttackJobContext,
): Promise<AttackRow[]> {
  const labelled = labelledTasks(targets, plan);
  const results = new Map<string, SearchResult>();
  const tracker = trackTrials(
    progress,
    plan.title ?? `attack ${plan.label ?? ''}`.trim(),
    labelled.map(({ task }) => task),
  );
  const file = (task: AttackTask) => folder.checkpointPath(`attack-${task.id}.json`);
  for (const { task } of labelled) {
    if (!(await stat(file(task)).catch(() => undefined))) continue;
    results.set(task.id, (await readJsonFile(file(task))) as SearchResult);
    tracker.skip(task);
  }
  await runAttackTasks(
    labelled.map(({ task }) => task).filter((task) => !results.has(task.id)),
    {
      workers,
      engine: engine && workerEngine(engine, workers),
      signal,
      onTrial: (task) => tracker.trial(task),
      onResult: async (task, result) => {
        await writeFileAtomic(file(task), JSON.stringify(result));
        results.set(task.id, result);
      },
    },
  );
  tracker.end();
  return labelled.flatMap(({ task, start, attack, measures }) => {
    const result = results.get(task.id);
    if (!result) return [];
    return measures.map((measure) => ({
      start,
      attack,
      measure,
      optimizer: task.optimizer.name,
      options: task.optimizer.options,
      budget: task.steps,
      result,
    }));
  });
}
