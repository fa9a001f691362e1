import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type { FlopTally } from '../../engine/index.js';
import type { ModelSpec, StateDict } from '../../models/index.js';
import { InputError, parseOptions } from '../../registry/index.js';
import type { Bench, KeyedBench } from '../preparation/bench.js';
import { type TransformStep, transforms } from '../transforms/index.js';
import { addWork, noWork, type PreparedWeights } from '../trial/work.js';
import type { WeightsStore } from './weights-store.js';

/** How many transformed copies of a model's weights are kept, the last used ones. */
const keptCopies = 6;

/** Weights before any transform. */
interface Untransformed {
  /** Stands for them, their model and how fresh ones are drawn: equal keys, equal values. */
  readonly key: string;
  /** Architecture and configuration. */
  readonly model: ModelSpec;
  /** The weights; they stay as they are. */
  readonly weights: StateDict;
  /** Fresh weights of the architecture that is trained, by the trial's seed. */
  fresh(seed: number): StateDict;
  /** The weights of further models that transforms read, by directory; default none. */
  readonly others?: OtherModels;
  /** What transforms that train work with; default none. */
  readonly bench?: KeyedBench;
}

/** Models by their directory. */
export type OtherModels = ReadonlyMap<string, { readonly weights: StateDict; readonly digest: string }>;

/**
 * Applies transforms and keeps what they made, so that nothing is computed twice: the clipped weights of one attack are also
 * what another begins with that rescales them then. What depends on the trial's seed is kept by seed.
 */
export class TransformedWeights {
  /** In the order of their last use. */
  readonly #kept = new Map<string, Promise<PreparedWeights>>();

  /**
   * @param limit - Copies kept at most; each may be as large as the model.
   * @param store - Keeps on disk what took steps of training; default nowhere.
   */
  constructor(
    readonly limit = keptCopies,
    readonly store?: WeightsStore,
  ) {}

  /** Number of copies that are kept now. */
  get size(): number {
    return this.#kept.size;
  }

  /**
   * The weights after some transforms, and what was done.
   *
   * @throws InputError when a transform or an option is not known.
   */
  async get(from: Untransformed, steps: readonly TransformStep[], seed: number): Promise<PreparedWeights> {
    const parsed = parseSteps(steps);
    const firstSeeded = parsed.findIndex(({ transform }) => transform.isSeeded);
    let prepared: PreparedWeights = { weights: from.weights, work: noWork };
    let { model } = from;
    for (const [index, { transform, options }] of parsed.entries()) {
      const isSeeded = firstSeeded !== -1 && index >= firstSeeded;
      const so = parsed.slice(0, index + 1);
      const done = so.map((step) => [step.transform.name, step.options]);
      const read = so
        .flatMap((step) => step.transform.reads?.(step.options) ?? [])
        .map((path) => [path, otherModel(from, path).digest]);
      const worked = so.some((step) => step.transform.works) ? [from.bench?.key] : [];
      const key = JSON.stringify([from.key, done, isSeeded ? seed : null, ...read, ...worked]);
      const before = prepared;
      const given = model;
      prepared = await this.#once(key, transform.works === true, async () => {
        const bench = transform.works ? await from.bench?.of(seed) : undefined;
        let { work } = before;
        const tally: FlopTally = { flops: 0 };
        const counted = flopsOf(bench);
        const weights = await transform.apply(
          {
            model: given,
            weights: before.weights,
            fresh: () => from.fresh(seed),
            seed,
            other: (path: string) => otherModel(from, path).weights,
            bench: () => {
              if (bench) return bench;
              throw new InputError(`${transform.name}: expected an attack with examples to work with, found none`);
            },
            tally,
            charge: (more) => {
              work = addWork(work, more);
            },
          },
          options,
        );
        const flops = flopsOf(bench) - counted + tally.flops;
        // Then the attack is another one under its name.
        const isSilent = work.notes?.length === before.work.notes?.length;
        const isIdle = isSilent && hasSameValues(before.weights, weights);
        const notes = isIdle ? [`${transform.name} found nothing to change`] : [];
        return { weights, work: addWork(work, { spent: { steps: 0, samples: 0, flops }, notes }) };
      });
      model = transform.rebuilds?.(model) ?? model;
    }
    return prepared;
  }

  async #once(key: string, isStored: boolean, make: () => Promise<PreparedWeights>): Promise<PreparedWeights> {
    const made = this.#kept.get(key) ?? (isStored && this.store ? this.store.once(key, make) : make());
    this.#kept.delete(key);
    this.#kept.set(key, made);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.limit) break;
      this.#kept.delete(oldest);
    }
    try {
      return await made;
    } catch (error) {
      // An interruption is no property of the weights.
      this.#kept.delete(key);
      throw error;
    }
  }
}

/** Whether two state dicts of the same names hold the same numbers. */
function hasSameValues(a: StateDict, b: StateDict): boolean {
  return Array.from(a).every(([name, { data }]) => {
    const other = b.get(name)?.data;
    return data === other || (data.length === other?.length && data.every((value, index) => value === other[index]));
  });
}

/** Floating-point operations that all programs of a bench have run so far; those that measure weights are an evaluator's own. */
function flopsOf(bench: Bench | undefined): number {
  if (!bench) return 0;
  const { released, attacked } = bench;
  // The model that is attacked may be the one that was released.
  const counters = new Set([released.programs, released.evaluator, attacked.programs, attacked.evaluator]);
  return [...counters].reduce((sum, { flops }) => sum + flops, 0);
}

function otherModel({ others }: Untransformed, path: string) {
  const found = others?.get(path);
  if (!found) throw new TypeError(`${path}: expected a model that was loaded before`);
  return found;
}

/**
 * Directories of the models that some transforms read.
 *
 * @throws InputError when a transform or an option is not known.
 */
export function modelsRead(steps: readonly TransformStep[]): string[] {
  return parseSteps(steps).flatMap(({ transform, options }) => transform.reads?.(options) ?? []);
}

function parseSteps(steps: readonly TransformStep[]) {
  return steps.map(({ name, options }) => {
    const transform = transforms.get(name);
    return { transform, options: parseOptions(transform.options as z.ZodObject, options, name) };
  });
}

/**
 * Applies transforms one after another, those that need no examples.
 *
 * @param fresh - Fresh weights of the same architecture, by the trial's seed.
 * @param others - Models that transforms read; default none.
 * @returns The transformed weights by the trial's seed; what does not depend on the seed is computed once.
 * @throws InputError when a transform or an option is not known.
 */
export function transformWeights(
  model: ModelSpec,
  released: StateDict,
  steps: readonly TransformStep[],
  fresh: (seed: number) => StateDict,
  others?: OtherModels,
): (seed: number) => Promise<StateDict> {
  parseSteps(steps);
  const kept = new TransformedWeights();
  return async (seed) => (await kept.get({ key: '', model, weights: released, fresh, others }, steps, seed)).weights;
}

/** SHA-256 of a model's graph and weights: names, shapes and values, in their order. */
export function modelDigest({ digest, weights }: ModelSpec & { readonly weights: StateDict }): string {
  const hash = createHash('sha256');
  hash.update(digest);
  for (const [name, { shape, data }] of weights) {
    hash.update(JSON.stringify([name, shape]));
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}
