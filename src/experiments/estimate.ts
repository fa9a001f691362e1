import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { InputError } from '../formats/index.js';
import type { ModelSpec, StateDict } from '../models/index.js';
import { stepBytes } from '../training/index.js';

/** What a run will need, as far as it can be known before. */
export interface RunEstimate {
  /** Memory of the step, the weights, the optimizer's state and the kept copy, at most. */
  readonly memoryBytes: number;
  /** Disk for the checkpoint, its successor while it is written, and the resulting model. */
  readonly diskBytes: number;
}

/** Node.js, ONNX Runtime and the embedded digits while they are parsed, before any model (measured: 337 MB). */
const baseBytes = 340e6;

/**
 * Estimates memory and disk of training or locking a model, and checks that both are there.
 *
 * @param folder - Where the run will be written; it need not exist yet.
 * @throws InputError when less disk or memory is free than the run needs.
 */
export async function estimateRun({
  model,
  batchSize,
  folder,
}: {
  model: ModelSpec & { weights: StateDict };
  batchSize: number;
  folder: string;
}): Promise<RunEstimate> {
  const weightBytes = [...model.weights.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  // Two optimizer slots and a kept copy beside the step; a checkpoint holds those and the weights.
  const estimate = {
    memoryBytes: baseBytes + stepBytes(model, batchSize) + 4 * weightBytes,
    diskBytes: 2 * 4 * weightBytes + weightBytes,
  };
  const free = await freeDisk(folder);
  if (free < estimate.diskBytes)
    throw new InputError(`${folder}: expected ${megabytes(estimate.diskBytes)} of free disk, found ${megabytes(free)}`);
  const memory = process.availableMemory();
  if (memory < estimate.memoryBytes) {
    throw new InputError(
      `memory: expected ${megabytes(estimate.memoryBytes)} free for this model and batch size, found ${megabytes(memory)}`,
    );
  }
  return estimate;
}

/** An estimate in one line. */
export function describeEstimate({ memoryBytes, diskBytes }: RunEstimate): string {
  return `needs at most ${megabytes(memoryBytes)} of memory and ${megabytes(diskBytes)} of disk`;
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}

async function freeDisk(folder: string): Promise<number> {
  for (let path = resolve(folder); ; path = dirname(path)) {
    const found = await statfs(path).catch(() => undefined);
    if (found) return found.bavail * found.bsize;
    if (path === dirname(path)) throw new InputError(`${folder}: expected a place on a disk, found none`);
  }
}
