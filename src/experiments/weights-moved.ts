import { type Model, type ModelOnDisk, modelState, type StateDict, weightMatrices } from '../models/index.js';

/** How far weights lie from those that they were made from. */
export interface WeightsMoved {
  /** Tensors that are not what they were, to the bit; what is trained alone counts, not running statistics. */
  readonly changed: number;
  /** Of how many. */
  readonly of: number;
  /** ‖θ′ − θ‖ / ‖θ‖ over all of them, Frobenius norms. */
  readonly distance: number;
  /** The weight matrix with the largest such ratio of its own; none where no matrix moved. */
  readonly most?: { readonly name: string; readonly distance: number };
}

/** Adds up how far weights have moved, tensor by tensor in any order. */
export class MovedWeights {
  readonly #trained: readonly string[];
  readonly #matrices: ReadonlySet<string>;
  readonly #squares = new Map<string, { readonly moved: number; readonly whole: number }>();

  /** @param model - In memory or on the disk: names and shapes are asked for alone. */
  constructor(model: ModelOnDisk) {
    this.#trained = modelState(model).flatMap(({ name, kind }) => (kind === 'parameter' ? name : []));
    this.#matrices = new Set(weightMatrices(model.weights).map(({ name }) => name));
  }

  /** Counts a tensor, by its values before and after. */
  add(name: string, before: Float32Array, after: Float32Array): void {
    let [moved, whole] = [0, 0];
    for (let i = 0; i < before.length; i++) {
      moved += (after[i] - before[i]) ** 2;
      whole += before[i] ** 2;
    }
    this.#squares.set(name, { moved, whole });
  }

  /** What was found, summed in the order of the model. */
  result(): WeightsMoved {
    const found = this.#trained.flatMap((name) => {
      const squares = this.#squares.get(name);
      return squares ? { name, ...squares, distance: Math.sqrt(squares.moved / squares.whole) } : [];
    });
    const [moved, whole] = (['moved', 'whole'] as const).map((key) => found.reduce((sum, each) => sum + each[key], 0));
    const most = found
      .filter(({ name, distance }) => this.#matrices.has(name) && Number.isFinite(distance) && distance > 0)
      .reduce<(typeof found)[number] | undefined>((a, b) => (a && a.distance >= b.distance ? a : b), undefined);
    return {
      changed: found.filter((each) => each.moved > 0).length,
      of: found.length,
      distance: moved === 0 ? 0 : Math.sqrt(moved / whole),
      ...(most && { most: { name: most.name, distance: most.distance } }),
    };
  }
}

/** How far weights lie from the model's own; one that is there no more has moved to zero. */
export function weightsMoved(model: Model, weights: StateDict): WeightsMoved {
  const moved = new MovedWeights(model);
  for (const [name, { data }] of model.weights) {
    moved.add(name, data, weights.get(name)?.data ?? new Float32Array(data.length));
  }
  return moved.result();
}
