import { stat } from 'node:fs/promises';
import { readSafetensors, writeSafetensors } from '../formats/index.js';
import { InputError, InterruptedError } from '../registry/index.js';
import { checkpointToTensors, tensorsToCheckpoint } from './checkpoint.js';
import { DivergedError, describeDivergedWeights } from './diverged.js';
import type { StepQuestion, StepResult } from './objective.js';
import type { Optimizer, OptimizerState, ParameterSet, ParameterShapes } from './optimizers/index.js';
import type { NamedRows } from './row-tables.js';
import { RowUpdates } from './row-updates.js';
import { constantSchedule, type Schedule } from './schedules.js';

/** What is known after a step. */
export interface StepReport {
  /** Steps done so far, this one included. */
  readonly step: number;
  /** Loss of the step's batch before the update. */
  readonly loss: number;
  /** Learning rate of the step. */
  readonly learningRate: number;
  /** What the step cost in evaluations of the gradient: 1 for optimizers that need no more. */
  readonly evaluations: number;
  /** Tokens of its batch, padding apart; undefined where examples have no length. */
  readonly tokens?: number;
  /** Parameters after the update; with tables by rows, only after {@link settled}. */
  readonly params: ParameterSet;
  /** Does what rows of tables have missed that no batch has named lately: to be waited for before parameters are read. */
  settled(): Promise<void>;
}

/** State that a run keeps beside parameters and optimizer, and that must survive a restart. */
export interface RunState {
  /** Arrays and JSON data to store. */
  save(): { extra: Record<string, Float32Array | Float64Array>; meta: Record<string, unknown> };
  /** Takes back what {@link save} gave. */
  restore(extra: Record<string, Float32Array | Float64Array>, meta: Record<string, unknown>): void;
}

/** Options of {@link runSteps}. */
export interface RunOptions {
  /** Parameters, changed in place. */
  params: ParameterSet;
  /** Their shapes, which some optimizers need; see {@link Objective.shapes}. */
  shapes?: ParameterShapes;
  /** Loss and gradients at the parameters, for the batch of a step (from 0). */
  compute(params: ParameterSet, step: number, question: StepQuestion): Promise<StepResult>;
  /**
   * The rows of tables that the batch of a step names, where gradients are of these alone ({@link Objective.rows}); needs `shapes`
   * and an optimizer with `idleFactor`. The result is the same, bit for bit. Default: all gradients are whole.
   */
  rows?: (step: number) => Promise<NamedRows>;
  /** Optimizer. */
  optimizer: Optimizer;
  /** Base learning rate. */
  learningRate: number;
  /** Schedule of the learning rate; default constant. */
  schedule?: Schedule;
  /** Steps of the whole run. */
  steps: number;
  /** Called after every step; returning `stop` ends the run there. */
  afterStep?(report: StepReport): Promise<'stop' | undefined> | 'stop' | undefined;
  /**
   * Called when loss or weights are no longer finite, in place of `afterStep`. Returning `stop` ends the run there as
   * `afterStep` would; a run with a checkpoint must have put finite weights back by then. Else the run fails with the error.
   */
  onDiverged?(error: DivergedError, report: StepReport): 'stop' | undefined;
  /** Checkpoint file and how many steps lie between two writes; none by default. */
  checkpoint?: { path: string; every: number };
  /** Called once before the first step with the step it begins at: 0, or what the checkpoint says. Not for a run that is done. */
  onStart?(step: number): Promise<void>;
  /** Called before a checkpoint is written: what must not be lost below it has to be on disk. */
  beforeCheckpoint?(): void;
  /** Further state to keep in checkpoints. */
  state?: RunState;
  /** Aborting it ends the run after the current step, with a checkpoint. */
  signal?: AbortSignal;
}

/** How a run ended. */
export interface RunResult {
  /** Steps done. */
  readonly steps: number;
  /** Whether `afterStep` ended it, or it did all steps. */
  readonly reason: 'finished' | 'stopped';
  /** The step it was resumed from; 0 for a fresh run. */
  readonly resumedFrom: number;
}

/**
 * The training loop: `compute`, `optimizer.update`, `afterStep`, again and again. With a checkpoint it resumes where the
 * file says; because batches, masks and schedules depend on the step alone, a run that was killed and started again ends
 * with the same bits.
 *
 * @throws InterruptedError after `signal`, when the checkpoint is on disk.
 * @throws DivergedError when loss or weights are no longer finite; a checkpoint keeps what it held before.
 */
export async function runSteps({
  params,
  shapes,
  compute,
  rows,
  optimizer,
  learningRate,
  schedule = constantSchedule(),
  steps,
  afterStep,
  onDiverged,
  checkpoint,
  onStart,
  beforeCheckpoint,
  state,
  signal,
}: RunOptions): Promise<RunResult> {
  let optimizerState = optimizer.init(params, shapes);
  let step = 0;
  let stopped = false;
  const rateAt = (at: number) => learningRate * schedule.factor(at, steps);
  let byRows: RowUpdates | undefined;
  const settled = async () => byRows?.settle(step);
  const save = async () => {
    if (!checkpoint) return;
    await settled();
    beforeCheckpoint?.();
    await saveCheckpoint(checkpoint.path, { step, params, optimizerState, state, stopped });
  };
  const found = checkpoint && (await loadCheckpoint(checkpoint.path, { params, optimizerState, state }));
  if (found) ({ step, optimizerState, stopped } = found);
  const resumedFrom = step;
  if (rows) byRows = createRowUpdates({ optimizer, params, shapes, state: optimizerState, rateAt }, step);
  if (step < steps && !stopped) await onStart?.(step);

  let lastLoss: number | undefined;
  while (step < steps && !stopped) {
    const named = await rows?.(step);
    if (named) await byRows?.prepare(named, step);
    optimizer.prepare?.(optimizerState, params);
    const { loss, gradients, oracle, tokens } = await compute(params, step, {
      withoutGradients: optimizer.isGradientFree,
    });
    const rate = rateAt(step);
    let changed = params;
    if (Number.isFinite(loss)) {
      if (named && byRows) changed = await byRows.update(named, gradients, step);
      else await optimizer.update(gradients, optimizerState, params, rate, oracle);
    }
    step++;
    const report = { step, loss, learningRate: rate, evaluations: oracle?.evaluations ?? 1, tokens, params, settled };
    const what = Number.isFinite(loss)
      ? describeDivergedUpdate(changed, optimizerState, loss)
      : describeDivergedLoss(loss, lastLoss);
    if (what !== undefined) {
      const error = new DivergedError({ step, steps, loss, learningRate: rate, what });
      if (onDiverged?.(error, report) !== 'stop') throw error;
      if (checkpoint && describeDivergedWeights(params)) throw error;
      stopped = true;
      byRows = undefined;
      // Of no further use, and it may hold what no checkpoint can.
      optimizerState = optimizer.init(params, shapes);
      await save();
      break;
    }
    lastLoss = loss;
    stopped = (await afterStep?.(report)) === 'stop';
    if (signal?.aborted && step < steps && !stopped) {
      await save();
      throw new InterruptedError(`interrupted after step ${step} of ${steps}`);
    }
    if (checkpoint && (step % checkpoint.every === 0 || step === steps || stopped)) await save();
  }
  await settled();
  return { steps: step, reason: stopped ? 'stopped' : 'finished', resumedFrom };
}

function createRowUpdates(
  run: Omit<ConstructorParameters<typeof RowUpdates>[0], 'shapes'> & { shapes?: ParameterShapes },
  start: number,
): RowUpdates {
  const { shapes, optimizer } = run;
  if (shapes && optimizer.idleFactor) return new RowUpdates({ ...run, shapes }, start);
  throw new InputError(
    `${optimizer.name}: expected shapes and an optimizer that moves each value by itself for gradients by rows`,
  );
}

function describeDivergedLoss(loss: number, last: number | undefined): string {
  return `the loss is ${loss}${last === undefined ? '' : `, ${last.toPrecision(3)} the step before`}`;
}

/** What is no longer finite after an update, weights or numbers of the optimizer; `undefined` where all is well. */
function describeDivergedUpdate(
  params: ParameterSet,
  { scalars = {} }: OptimizerState,
  loss: number,
): string | undefined {
  const bad = Object.entries(scalars).find(([, value]) => !Number.isFinite(value));
  const what = describeDivergedWeights(params) ?? (bad && `the optimizer's ${bad[0]} is ${bad[1]}`);
  return what && `${what} after a loss of ${loss.toPrecision(3)}`;
}

async function saveCheckpoint(
  path: string,
  run: { step: number; params: ParameterSet; optimizerState: OptimizerState; state?: RunState; stopped: boolean },
): Promise<void> {
  const { extra, meta } = run.state?.save() ?? { extra: {}, meta: {} };
  const { step, params, optimizerState: optimizer, stopped } = run;
  await writeSafetensors(path, checkpointToTensors({ step, params, optimizer, extra, meta: { run: meta, stopped } }));
}

async function loadCheckpoint(
  path: string,
  { params, optimizerState: fresh, state }: { params: ParameterSet; optimizerState: OptimizerState; state?: RunState },
): Promise<{ step: number; optimizerState: OptimizerState; stopped: boolean } | undefined> {
  if (!(await stat(path).catch(() => undefined))) return undefined;
  const { step, params: saved, optimizer, extra, meta } = tensorsToCheckpoint(await readSafetensors(path), path);
  requireLikeSlots(optimizer, fresh, path);
  for (const [name, values] of params) values.set(saved.get(name) ?? []);
  state?.restore(extra, (meta.run ?? {}) as Record<string, unknown>);
  return { step, optimizerState: optimizer, stopped: meta.stopped === true };
}

/** Refuses an optimizer state whose slots are not those that the run's optimizer begins with, in name and length. */
function requireLikeSlots(found: OptimizerState, fresh: OptimizerState, source: string): void {
  const names = ({ slots }: OptimizerState) => Object.keys(slots).sort().join(', ') || 'none';
  if (names(found) !== names(fresh)) {
    throw new InputError(`${source}: expected the optimizer slots ${names(fresh)}, found ${names(found)}`);
  }
  for (const [slot, arrays] of Object.entries(fresh.slots)) {
    for (const [name, { length }] of arrays) {
      const values = found.slots[slot].get(name);
      if (values?.length === length) continue;
      throw new InputError(
        `${source} optimizer/${slot}/${name}: expected ${length} values, found ${values ? values.length : 'none'}`,
      );
    }
  }
}
