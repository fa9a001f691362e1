import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RunFolder } from '../../evidence/index.js';
import { lockMethods } from '../../locks/index.js';
import type { Model } from '../../models/index.js';
import { silentProgress } from '../progress.js';
import type { FrontierPoint } from '../reproduce/reproduction.js';
import { Plan, PlannedRunner, type RunSpec, type TaskData } from '../run/index.js';

/** A model to lock, and where. */
export interface PacedModel extends Pick<RunSpec, 'engine' | 'seed'> {
  /** The model. */
  readonly model: Model;
  /** Examples of the authorized task. */
  readonly data: TaskData;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/**
 * Seconds that a lock as it was measured would take on another model, at the pace of one step here; undefined for one whose options
 * this version does not have. Nothing is left on disk.
 */
export async function secondsOfLock(
  { model, data, engine, seed, signal }: PacedModel,
  { method: name, options = {} }: Pick<FrontierPoint, 'method' | 'options'>,
): Promise<number | undefined> {
  const method = lockMethods.entries().find((entry) => entry.name === name);
  const parsed = method?.options.safeParse(options);
  if (!method || !parsed?.success) return undefined;
  const root = await mkdtemp(join(tmpdir(), 'weightlock-plan-'));
  try {
    const folder = await RunFolder.open({ root, command: 'plan', config: { lock: name } });
    const plan = new Plan();
    const runner = new PlannedRunner({ engine, seed }, { folder, signal, progress: silentProgress }, plan);
    await runner.lock({ name }, { from: model, data, method, options: parsed.data });
    await folder.close();
    return plan.parts[0]?.seconds;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
