import { z } from 'zod';
import {
  allocateBatch,
  type BatchOrder,
  batchOrder,
  type Dataset,
  gatherBatch,
  layoutAt,
  splitTrainTest,
} from '../data/index.js';
import { RandomStream } from '../linalg/index.js';
import type { ModelSpec } from '../models/index.js';
import { type ArraySpecs, type Batch, batchSpecs } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import { type TargetReader, type Task, taskOf } from '../tasks/index.js';
import type { LockContext } from './lock-method.js';

/** Examples of a step and what the model is trained towards. */
export interface TermBatch {
  /** Its arrays. */
  readonly specs: ArraySpecs;
  /** Their values. */
  readonly batch: Batch;
}

/**
 * Batches of a data set for terms of a loss that are computed beside the retain loss. What a step has depends on the seed and the step
 * alone; of a data set and a seed these are the batches that an objective has.
 */
export class TermBatches {
  readonly #task: Task;
  readonly #dataset: Dataset;
  readonly #order: BatchOrder;
  readonly #positions: Uint32Array;
  readonly #read: TargetReader;

  /** @throws InputError when the data set does not fit the model. */
  constructor(model: ModelSpec, given: Dataset, { batchSize, seed }: { batchSize: number; seed: number }) {
    this.#task = taskOf(model);
    this.#task.requireFit(model, given);
    this.#dataset = this.#task.view?.(given) ?? given;
    this.#order = batchOrder(this.#dataset, Math.min(batchSize, this.#dataset.size), seed);
    this.#positions = new Uint32Array(this.#order.batchSize);
    this.#read = this.#task.targetReader(this.#dataset);
  }

  /** Batches until every example was in one. */
  get stepsPerEpoch(): number {
    return this.#order.stepsPerEpoch;
  }

  /** The batch of a step, in arrays of its own. */
  at(step: number): TermBatch {
    const positions = this.#positions;
    this.#order.positions(step, positions);
    const example = layoutAt(this.#dataset, positions);
    const layout = { ...example, ...this.#task.targets(example) };
    const specs = batchSpecs(layout, positions.length);
    const batch = allocateBatch(specs);
    const { augmented } = this.#dataset.examples;
    const augmentation = augmented ? new RandomStream(this.#order.seed, 'augmentation', step) : undefined;
    gatherBatch(this.#dataset, positions, { batch, layout }, augmentation);
    positions.forEach((position, row) => {
      this.#read(position, { batch, row, layout });
    });
    return { specs, batch };
  }
}

/**
 * The tasks that an attacker may be after, of which a lock is made against.
 *
 * @param name - The lock method, for the message.
 * @throws InputError where there are none.
 */
export async function requiredProxies(
  { adversaries }: Pick<LockContext, 'adversaries'>,
  name: string,
): Promise<readonly Dataset[]> {
  const found = await adversaries();
  if (found.length > 0) return found;
  throw new InputError(`${name}: expected examples of tasks that an attacker may be after, got none; give --proxies`);
}

/** Option: which examples of the proxies the attacks of a lock are judged on. */
export const heldOutOption = z
  .number()
  .gt(0)
  .lt(1)
  .default(0.2)
  .describe('share of the examples of each proxy that attacks are judged on and not trained on');

/**
 * What attacks on a proxy are trained on, and what they are judged on.
 *
 * @param heldOut - Share of the latter.
 * @param name - The lock method, for the message.
 * @throws InputError where one of the parts has no example.
 */
export function proxyParts(
  proxy: Dataset,
  { heldOut, seed, name }: { heldOut: number; seed: number; name: string },
): { attacked: Dataset; judged: Dataset } {
  const { train: attacked, test: judged } = splitTrainTest(proxy, heldOut, seed);
  if (attacked.size > 0 && judged.size > 0) return { attacked, judged };
  throw new InputError(
    `${name}: expected examples of ${proxy.name} to train attacks on and others to judge them, got ${proxy.size}`,
  );
}
