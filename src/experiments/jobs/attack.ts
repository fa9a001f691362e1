import { stat } from 'node:fs/promises';
import { z } from 'zod';
import {
  type AttackRow,
  type AttackSetting,
  type AttackTask,
  attacks,
  type Measure,
  runAttackTasks,
  type SearchResult,
  type StartName,
  searches,
  trialCount,
} from '../../attacks/index.js';
import type { DataSpec } from '../../data/index.js';
import type { RunFolder } from '../../evidence/index.js';
import { InputError, readJsonFile, writeFileAtomic } from '../../formats/index.js';
import { parseOptions } from '../../models/index.js';

const seeds = z.array(z.int().min(0)).min(1);

/** Options of an attack: the same budget for every starting point. */
export const attackOptions = z.strictObject({
  target: z
    .number()
    .gt(0)
    .max(1)
    .default(0.95)
    .describe('accuracy that counts as success; the cost is the steps to it'),
  costSteps: z
    .int()
    .min(0)
    .default(240)
    .describe('steps at most where the cost is measured, with all examples; 0: not measured'),
  costBatchSize: z.int().min(1).default(64).describe('examples a step where the cost is measured'),
  perClass: z.int().min(1).default(20).describe('labelled examples of each class where the score is measured'),
  scoreSteps: z.int().min(0).default(40).describe('steps at most where the score is measured; 0: not measured'),
  scoreBatchSize: z.int().min(1).default(32).describe('examples a step where the score is measured'),
  searchSeeds: seeds
    .default([11, 12])
    .describe('seeds of the searches over learning rates: the first for all rates, the others for the two best'),
  seeds: seeds
    .default([1, 2, 3, 4, 5, 6])
    .describe('seeds of the runs that are reported, with the learning rate that the search found'),
  clipTopK: z
    .int()
    .min(0)
    .max(64)
    .default(4)
    .describe('adaptive attack: clip so many singular values of each matrix first; 0: leave it out'),
  reset: z
    .array(z.string().min(1))
    .default(['fc*'])
    .describe('adaptive attack: draw the weights of these names anew first, * stands for any characters'),
  resetClipTopK: z
    .int()
    .min(0)
    .max(64)
    .default(8)
    .describe(
      'adaptive attack: clip so many singular values of each matrix and draw layers anew as well; 0: leave it out',
    ),
});

/** Parsed {@link attackOptions}. */
export type AttackOptions = z.output<typeof attackOptions>;

/** Optimizers and learning rates that every attack searches: six decades each, likely ones first. */
const searched: AttackSetting['optimizers'] = [
  { name: 'adamw', decades: [-3, -2, -4, -1, -5, 0] },
  { name: 'sgd', options: { momentum: 0.9 }, decades: [-2, -3, -1, -4, 0, -5] },
  { name: 'adadelta', decades: [0, 1, -1, -2, -3, -4] },
];

/** Model directories that are attacked. */
export interface AttackTargets {
  /** The released, locked model. */
  readonly locked: string;
  /** The model before the lock, for comparison; without it nothing says what the lock costs an attacker. */
  readonly unlocked?: string;
  /** Their configuration, for directories without `config.json`. */
  readonly config?: Readonly<Record<string, unknown>>;
}

interface LabelledTask extends Pick<AttackRow, 'start' | 'attack' | 'measure'> {
  readonly task: AttackTask;
}

/** The searches of an attack, in the order of its table. */
function plan({ locked, unlocked, config }: AttackTargets, data: DataSpec, options: AttackOptions): LabelledTask[] {
  const settings: [Measure, AttackSetting][] = [];
  const { searchSeeds, seeds: reported, target, perClass } = options;
  const again = searchSeeds.find((seed) => reported.includes(seed));
  if (again !== undefined) {
    throw new InputError(`seeds: expected none of the search, whose results are selected, got ${again} in both`);
  }
  const shared = { data, optimizers: searched, searchSeeds, seeds: reported };
  if (options.costSteps > 0) {
    settings.push(['cost', { ...shared, steps: options.costSteps, batchSize: options.costBatchSize, target }]);
  }
  if (options.scoreSteps > 0) {
    settings.push(['score', { ...shared, steps: options.scoreSteps, batchSize: options.scoreBatchSize, perClass }]);
  }
  const resets = options.reset.length > 0;
  return settings.flatMap(([measure, setting]) => {
    const label = (start: StartName, attack: string, tasks: Omit<AttackTask, 'id'>[]): LabelledTask[] =>
      tasks.map((task) => {
        const id = `${measure}-${attack}-${task.optimizer.name}-${start.replace(' ', '-')}`;
        return { start, attack, measure, task: { ...task, id } };
      });
    const on = (start: StartName, path: string, name: string, given: Record<string, unknown> = {}) => {
      const attack = attacks.get(name);
      const parsed = parseOptions(attack.options as z.ZodObject, given, name);
      return label(start, name, attack.tasks({ kind: 'model', path, config }, setting, parsed));
    };
    return [
      ...(unlocked === undefined ? [] : on('unlocked', unlocked, 'fine-tune')),
      ...(unlocked !== undefined && resets ? on('unlocked', unlocked, 'reset', { include: options.reset }) : []),
      ...on('locked', locked, 'fine-tune'),
      ...(options.clipTopK > 0 ? on('locked', locked, 'clip', { topK: options.clipTopK }) : []),
      ...(resets ? on('locked', locked, 'reset', { include: options.reset }) : []),
      ...(resets && options.resetClipTopK > 0
        ? on('locked', locked, 'clip-reset', { include: options.reset, topK: options.resetClipTopK })
        : []),
      ...label('random weights', 'fine-tune', searches('fine-tune', { kind: 'random', like: locked, config }, setting)),
      ...(unlocked === undefined ? [] : on('unlocked', unlocked, 'frozen')),
      ...on('locked', locked, 'frozen'),
    ];
  });
}

/** Number of trials of an attack at most, for progress. */
export function attackTrials(targets: AttackTargets, data: DataSpec, options: AttackOptions): number {
  return plan(targets, data, options).reduce((sum, { task }) => sum + trialCount(task.budget), 0);
}

/** Attacks a locked model, the unlocked one and random weights with the same searches; finished ones survive a restart. */
export async function attackJob(
  targets: AttackTargets,
  data: DataSpec,
  options: AttackOptions,
  {
    folder,
    workers,
    signal,
    onTrial,
  }: { folder: RunFolder; workers: number; signal?: AbortSignal; onTrial?: (done: string) => void },
): Promise<AttackRow[]> {
  const labelled = plan(targets, data, options);
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
  return labelled.flatMap(({ task, start, attack, measure }) => {
    const result = results.get(task.id);
    return result ? [{ start, attack, measure, optimizer: task.optimizer.name, budget: task.steps, result }] : [];
  });
}
