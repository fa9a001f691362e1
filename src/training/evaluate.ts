import { type Dataset, readInputs } from '../data/index.js';
import { type EngineOptions, ProgramCache } from '../engine/index.js';
import { type HalfType, rounded, type TypedArray } from '../graph/index.js';
import { buildForward, type ModelSpec } from '../models/index.js';
import { requireFit } from './objective.js';
import type { ParameterSet } from './optimizers/index.js';

/** How well a model does on a data set. */
export interface Evaluation {
  /** Number of examples. */
  readonly n: number;
  /** Share of examples whose largest logit is the label's, 0 to 1. */
  readonly accuracy: number;
  /** Mean cross entropy. */
  readonly loss: number;
  /** Counts of each class, by its number; classes without examples that are never predicted count as well. */
  readonly byClass: readonly ClassCounts[];
}

/** How often a class occurs and is predicted. */
export interface ClassCounts {
  /** Examples of the class. */
  readonly examples: number;
  /** Examples of any class that are taken for it. */
  readonly predicted: number;
  /** Examples of the class that are taken for it. */
  readonly correct: number;
}

/** Share of the examples of a class that are taken for it, 0 to 1; NaN without examples. */
export function classAccuracy({ examples, correct }: ClassCounts): number {
  return correct / examples;
}

/** F1 of a class: harmonic mean of precision and recall, 0 to 1; 0 where the class neither occurs nor is predicted. */
export function f1({ examples, predicted, correct }: ClassCounts): number {
  return examples + predicted === 0 ? 0 : (2 * correct) / (examples + predicted);
}

/** The forward pass of one architecture, compiled once and run with any weights on any data set. */
export class Evaluator {
  readonly #programs: ProgramCache;

  /**
   * @param model - Architecture and configuration.
   * @param engine - Threads and device.
   * @param batchSize - Examples a run; default 256.
   */
  constructor(
    readonly model: ModelSpec,
    engine: EngineOptions = {},
    readonly batchSize = 256,
  ) {
    this.#programs = new ProgramCache(engine);
  }

  /**
   * Logits `[size, classes]`.
   *
   * @param options - `type`: computes as a machine that stores every value, weights too, in that 16-bit type; default float32.
   */
  async logits(params: ParameterSet, dataset: Dataset, { type }: { type?: HalfType } = {}): Promise<Float32Array> {
    requireFit(this.model, dataset);
    const classes = this.model.architecture.classes(this.model.config);
    const all = new Float32Array(dataset.size * classes);
    const feeds: Record<string, TypedArray> = Object.fromEntries(params);
    for (let start = 0; start < dataset.size; start += this.batchSize) {
      // A last, smaller batch has a program of its own, so that no example is computed twice.
      const count = Math.min(this.batchSize, dataset.size - start);
      feeds.x = readInputs(dataset, start, count);
      const program = await this.#programs.get(`${count} ${type ?? ''}`, () => this.#forward(count, type));
      const { logits } = await program.run(feeds);
      all.set(logits as Float32Array, start * classes);
    }
    return all;
  }

  /** Accuracy and loss. */
  async evaluate(params: ParameterSet, dataset: Dataset): Promise<Evaluation> {
    return score(await this.logits(params, dataset), dataset.labels);
  }

  /** Frees all compiled programs. */
  release(): Promise<void> {
    return this.#programs.release();
  }

  #forward(count: number, type: HalfType | undefined) {
    const { logits } = buildForward(this.model, count);
    return type === undefined ? { logits } : rounded({ logits }, type);
  }
}

/** Accuracy and mean cross entropy of logits `[n, classes]`. A row with a logit that is not finite counts as wrong. */
export function score(logits: Float32Array, labels: Int32Array): Evaluation {
  const n = labels.length;
  const classes = logits.length / Math.max(n, 1);
  const byClass = Array.from({ length: classes }, () => ({ examples: 0, predicted: 0, correct: 0 }));
  let loss = 0;
  for (let row = 0; row < n; row++) {
    const values = logits.subarray(row * classes, (row + 1) * classes);
    const predicted = predictedClass(values);
    byClass[labels[row]].examples++;
    if (predicted >= 0) byClass[predicted].predicted++;
    if (predicted === labels[row]) byClass[predicted].correct++;
    const largest = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    loss += largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0)) - values[labels[row]];
  }
  const correct = byClass.reduce((sum, counts) => sum + counts.correct, 0);
  return { n, accuracy: correct / n, loss: loss / n, byClass };
}

/** Position of the largest logit, the first of equal ones; −1 where one is not finite: what it stands for is lost. */
export function predictedClass(logits: Float32Array): number {
  let best = 0;
  for (let index = 0; index < logits.length; index++) {
    if (!Number.isFinite(logits[index])) return -1;
    if (logits[index] > logits[best]) best = index;
  }
  return best;
}
