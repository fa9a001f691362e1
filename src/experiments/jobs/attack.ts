import { stat } from 'node:fs/promises';
import type { z } from 'zod';
import {
  type AttackRow,
  type AttackTask,
  attacks,
  type Measure,
  runAttackTasks,
  type SearchResult,
  type StartName,
  searches,
  trialCount,
} from '../../attacks/index.js';
import type { RunFolder } from '../../evidence/index.js';
import { readJsonFile, writeFileAtomic } from '../../formats/index.js';
import { parseOptions } from '../../models/index.js';
import type { AttackPlan } from './attack-options.js';

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
  { budgets, clip, reset, adaptiveOptimizers, fineTuneOnly, label }: AttackPlan,
): LabelledTask[] {
  const all = budgets.flatMap(({ measures, setting }) => {
    const labelled = (start: StartName, attack: string, tasks: Omit<AttackTask, 'id'>[]): LabelledTask[] =>
      tasks.map((task) => {
        const parts = [label, measures.join('-'), attack, task.optimizer.name, start.replace(' ', '-')];
        const id = parts.filter((part) => part !== undefined).join('-');
        return { start, attack, measures, task: { ...task, id } };
      });
    const on = (start: StartName, path: string, name: string, given: Record<string, unknown> = {}) => {
      const attack = attacks.get(name);
      const parsed = parseOptions(attack.options as z.ZodObject, given, name);
      const optimizers = setting.optimizers.slice(0, attack.adaptive ? adaptiveOptimizers : undefined);
      return labelled(start, name, attack.tasks({ kind: 'model', path, config }, { ...setting, optimizers }, parsed));
    };
    return [
      ...(unlocked === undefined ? [] : on('unlocked', unlocked, 'fine-tune')),
      ...(unlocked !== undefined && reset ? on('unlocked', unlocked, 'reset', { include: reset }) : []),
      ...on('locked', locked, 'fine-tune'),
      ...(clip ? on('locked', locked, 'clip', clip) : []),
      ...(reset ? on('locked', locked, 'reset', { include: reset }) : []),
      ...(clip && reset ? on('locked', locked, 'clip-reset', { include: reset, ...clip }) : []),
      ...labelled(
        'random weights',
        'fine-tune',
        searches('fine-tune', { kind: 'random', like: locked, config }, setting),
      ),
      ...(unlocked === undefined ? [] : on('unlocked', unlocked, 'frozen')),
      ...on('locked', locked, 'frozen'),
    ];
  });
  if (!fineTuneOnly) return all;
  return all.filter(({ start, attack }) => attack === 'fine-tune' && fineTuneOnly.includes(start));
}

/** Number of trials of a plan at most, for progress. */
export function attackTrials(targets: AttackTargets, plan: AttackPlan): number {
  return labelledTasks(targets, plan).reduce((sum, { task }) => sum + trialCount(task.budget), 0);
}

/** Attacks a locked model, the unlocked one and random weights with the same searches; finished ones survive a restart. */
export async function attackJob(
  targets: AttackTargets,
  plan: AttackPlan,
  {
    folder,
    workers,
    signal,
    onTrial,
  }: { folder: RunFolder; workers: number; signal?: AbortSignal; onTrial?: (done: string) => void },
): Promise<AttackRow[]> {
  const labelled = labelledTasks(targets, plan);
  const results = new Map<string, SearchResult>();
  const file = (task: AttackTask) => folder.checkpointPath(`attack-${task.id}.json`);
  for (const { task } of labelled) {
    if (!(await stat(file(task)).catch(() => undefined))) continue;
    results.set(task.id, (await readJsonFile(file(task))) as SearchResult);
    for (const _ of Array(trialCount(task.budget))) onTrial?.(task.id);
  }
  await runAttackTasks(
    labelled.map(({ task }) => task).filter((task) => !results.has(task.id)),
    {
      workers,
      signal,
      onTrial: (task) => onTrial?.(task.id),
      onResult: async (task, result) => {
        await writeFileAtomic(file(task), JSON.stringify(result));
        results.set(task.id, result);
      },
    },
  );
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
