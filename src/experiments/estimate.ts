import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Dataset } from '../data/index.js';
import { programMemory } from '../engine/index.js';
import { type ModelSpec, type StateDict, smallestExample } from '../models/index.js';
import type { ArraySpecs } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import {
  createOptimizer,
  evaluationBytes,
  layoutsOf,
  type Optimizer,
  type OptimizerSpec,
  stepBytes,
} from '../training/index.js';

/** What a run will need, as far as it can be known before. */
export interface RunEstimate {
  /** Memory of the step, of judging the model, of the weights, the optimizer's state and the kept copy, at most. */
  readonly memoryBytes: number;
  /** What programs for texts of other lengths take beside, at most, as long as they are kept: those that do not fit are let go. */
  readonly keptBytes: number;
  /** Disk for the checkpoint, its successor while it is written, and the resulting model. */
  readonly diskBytes: number;
}

/** Node.js, ONNX Runtime and the embedded digits while they are parsed, before any model (measured: 337 MB). */
const baseBytes = 340e6;

/** Programs that judge a model: as it is, and as both 16-bit types would store it. */
const judgingPrograms = 3;

/** A product with second derivatives is a program of its own, which costs as much as two steps and holds about as much. */
const productSteps = 2;

/** Copies of the weights that whatever computes more than its step holds of its own: changed ones, their gradients, an optimizer's state. */
const moreCopies = 3;

/** Vectors in float64 as long as all weights, which an optimizer that asks for more than the gradient computes with. */
const workVectors = 6;

/**
 * Estimates memory and disk of training or locking a model, and checks that both are there.
 *
 * @param run - `accumulate`: parts that a batch is computed in. `recompute`: whether blocks are computed twice. `morePrograms`: programs as
 * large as its step's that it holds beside it; default none. `examples`: what it is trained on, and judged on the like of; default the
 * smallest that the model takes. `residentBytes`: memory of a process that has read all that the run reads; default
 * that of Node.js and the embedded digits. `optimizer`: its state is what it really is for these weights. `folder`: where the run will be written;
 * it need not exist yet.
 * @throws InputError when less disk or memory is free than the run needs.
 */
export async function estimateRun({
  model,
  batchSize,
  accumulate = 1,
  recompute,
  morePrograms = 0,
  examples,
  residentBytes = baseBytes,
  optimizer,
  folder,
}: {
  model: ModelSpec & { weights: StateDict };
  batchSize: number;
  accumulate?: number;
  recompute?: boolean;
  morePrograms?: number;
  examples?: Dataset;
  residentBytes?: number;
  optimizer: OptimizerSpec;
  folder: string;
}): Promise<RunEstimate> {
  const weightBytes = [...model.weights.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  const made = createOptimizer(optimizer, new Map([...model.weights].map(([name, { shape }]) => [name, shape])));
  const state = stateBytes(made, model.weights);
  const size = Math.ceil(Math.min(batchSize, examples?.size ?? batchSize) / accumulate);
  const { step, needed, kept } = programsOf(model, { size, recompute, morePrograms, examples });
  const copies = 2 + (optimizer.clipNorm ? 1 : 0) + (morePrograms > 0 ? moreCopies : 0);
  const hasProducts = made.needs?.some((need) => need !== 'lossAlone' && need !== 'evaluate');
  const work = made.needs ? workVectors * 2 * weightBytes + (hasProducts ? productSteps * step : 0) : 0;
  const estimate = {
    // Beside the programs, which count weights and gradients: the kept copy, one more while a checkpoint is read, clipped gradients.
    memoryBytes: Math.max(baseBytes, residentBytes) + needed + work + state + copies * weightBytes,
    keptBytes: kept,
    // A checkpoint holds weights, kept copy and state.
    diskBytes: 2 * (2 * weightBytes + state) + weightBytes,
  };
  const free = await freeDisk(folder);
  if (free < estimate.diskBytes)
    throw new InputError(`${folder}: expected ${megabytes(estimate.diskBytes)} of free disk, found ${megabytes(free)}`);
  const memory = process.availableMemory();
  if (memory < estimate.memoryBytes) {
    throw new InputError(
      `memory: expected ${megabytes(estimate.memoryBytes)} free for this model, batch size and ${optimizer.name}, found ${megabytes(memory)}`,
    );
  }
  return estimate;
}

/** Bytes of the programs of a run: of a step, of whatever there is beside it with examples as long, and of those kept of other lengths. */
function programsOf(
  model: ModelSpec,
  {
    size,
    recompute,
    morePrograms,
    examples,
  }: { size: number; recompute?: boolean; morePrograms: number; examples?: Dataset },
): { step: number; needed: number; kept: number } {
  const [longest, ...others] = examples ? layoutsOf(examples) : [smallestExample(model)];
  const stepOf = (layout: ArraySpecs) => stepBytes(model, size, { layout, recompute });
  const step = stepOf(longest);
  const judging = examples ? judgingPrograms * evaluationBytes(model, examples, longest) : 0;
  const all = others.reduce((sum, layout) => sum + (1 + morePrograms) * stepOf(layout), 0);
  return { step, needed: (1 + morePrograms) * step + judging, kept: Math.min(all, programMemory({})) };
}

/** Bytes of an optimizer's state. That of one weight after another is made and let go, so that asking costs no memory. */
function stateBytes(optimizer: Optimizer, weights: StateDict): number {
  let bytes = 0;
  for (const [name, { shape, data }] of weights) {
    for (const slot of Object.values(initOne(optimizer, name, shape, data).slots)) {
      for (const values of slot.values()) bytes += values.byteLength;
    }
  }
  return bytes;
}

function initOne(optimizer: Optimizer, name: string, shape: readonly number[], data: Float32Array) {
  try {
    return optimizer.init(new Map([[name, data]]), new Map([[name, shape]]));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const message = `${optimizer.name}: expected a state of which one array can be allocated, ${name} [${shape}] needs a larger one; choose another optimizer`;
    throw new InputError(message, { cause: error });
  }
}

/** An estimate in one line. */
export function describeEstimate({ memoryBytes, keptBytes, diskBytes }: RunEstimate): string {
  const kept =
    keptBytes > 0 ? `; programs kept for texts of other lengths take up to ${megabytes(keptBytes)} more` : '';
  return `needs at most ${megabytes(memoryBytes)} of memory and ${megabytes(diskBytes)} of disk${kept}`;
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
