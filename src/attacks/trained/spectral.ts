import { z } from 'zod';
import type { FlopTally } from '../../engine/index.js';
import { type StateDict, weightMatrices } from '../../models/index.js';
import { countedTriplets } from '../closed-forms.js';
import {
  noneRaised,
  type RaisedValues,
  raisedAsOptions,
  raisedBeside,
  raisedCount,
  unmatchedRaised,
} from '../transforms/raised.js';
import { searchFineTuning } from './all.js';
import { partialTraining } from './selected.js';
import type { MakeTrainable } from './trainable.js';
import type { TrainedPart } from './trained-part.js';

const include = z
  .array(z.string().min(1))
  .min(1)
  .default(['*'])
  .describe('names of the weight matrices that are trained so, * stands for any characters; others as they are');
const topK = z.int().min(1).max(64).default(8).describe('how many of the largest singular values of each matrix');

/** Two fixed layers around a change of a matrix, `I − Σ_j (1 − f_j) u_j u_jᵀ` before it and the same of v behind it. */
interface Around {
  readonly rows: number;
  readonly columns: number;
  /** `1 − f`, one for each direction. */
  readonly less: readonly number[];
  /** `[rows, k]` and `[columns, k]`. */
  readonly u: Float64Array;
  readonly v: Float64Array;
}

/**
 * Trains each matrix as `W + L Z R`, Z from 0, between two fixed layers `L = I − Σ_j (1 − f_j) u_j u_jᵀ` and `R` of the same form
 * with v, u and v the directions of its k largest singular values: f of 0 takes these directions out of all that is learned, and an
 * f between makes them as small as W makes them large. An optimizer sees the gradient by Z, `L G R`.
 *
 * @param countOf - k of a matrix, by its name; 0: it is trained as it is.
 * @param factors - `f`, from the k + 1 largest singular values.
 */
export function betweenLayers(
  countOf: (name: string) => number,
  factors: (sigma: readonly number[]) => readonly number[],
): MakeTrainable {
  return (weights, shapes) => {
    const state: StateDict = new Map(
      [...weights].map(([name, data]) => [name, { shape: [...(shapes.get(name) ?? [data.length])], data }]),
    );
    const around = new Map<string, Around>();
    const tally: FlopTally = { flops: 0 };
    for (const { name, rows, columns } of weightMatrices(state)) {
      const data = weights.get(name);
      const count = Math.min(countOf(name) + 1, rows, columns);
      if (!data || count < 2) continue;
      const { sigma, u, v } = countedTriplets(data, { rows, columns, k: count, seed: 1, name }, tally);
      const less = factors([...sigma]).map((factor) => 1 - factor);
      // The last of them is only what the others are compared with.
      const first = (vectors: ArrayLike<number>, length: number) =>
        Float64Array.from({ length: length * less.length }, (_, at) => {
          return vectors[Math.floor(at / less.length) * count + (at % less.length)];
        });
      around.set(name, { rows, columns, less, u: first(u, rows), v: first(v, columns) });
    }
    const released = new Map(
      [...around.keys()].map((name) => [name, weights.get(name)?.slice() ?? new Float32Array()]),
    );
    const params = new Map(
      [...weights].map(([name, data]) => [name, around.has(name) ? new Float32Array(data.length) : data]),
    );
    return {
      params,
      shapes,
      flops: tally.flops,
      gradients: (ofModel) =>
        new Map(
          [...ofModel].map(([name, gradient]) => {
            const own = around.get(name);
            return [name, own ? Float32Array.from(through(gradient, own)) : gradient];
          }),
        ),
      write: () => {
        for (const [name, own] of around) {
          const change = through(params.get(name) ?? [], own);
          const [before, data] = [released.get(name), weights.get(name)];
          if (before && data) for (let i = 0; i < data.length; i++) data[i] = before[i] + change[i];
        }
      },
    };
  };
}

/** `L X R`. */
function through(x: ArrayLike<number>, { rows, columns, less, u, v }: Around): Float64Array {
  const k = less.length;
  const result = Float64Array.from(x);
  for (let j = 0; j < k; j++) {
    const along = new Float64Array(columns);
    for (let i = 0; i < rows; i++) {
      const factor = u[i * k + j];
      for (let c = 0; c < columns; c++) along[c] += factor * result[i * columns + c];
    }
    for (let i = 0; i < rows; i++) {
      const factor = less[j] * u[i * k + j];
      for (let c = 0; c < columns; c++) result[i * columns + c] -= factor * along[c];
    }
  }
  for (let j = 0; j < k; j++) {
    for (let i = 0; i < rows; i++) {
      let along = 0;
      for (let c = 0; c < columns; c++) along += result[i * columns + c] * v[c * k + j];
      for (let c = 0; c < columns; c++) result[i * columns + c] -= less[j] * along * v[c * k + j];
    }
  }
  return result;
}

function spectralPart<Options extends RaisedValues>(
  words: Pick<TrainedPart<Options>, 'name' | 'description' | 'label' | 'options'>,
  factors: (sigma: readonly number[], options: Options) => readonly number[],
): TrainedPart<Options> {
  return {
    ...words,
    ...partialTraining,
    knows: 'how many singular values of each matrix the lock raised, about',
    learn: ({ raised }) => raised && words.options.parse(raisedAsOptions(raised)),
    applies: ({ weights }, options) => noneRaised(weights, options, 'find'),
    unused: ({ weights }, options) => unmatchedRaised(words.name, options, weights),
    search: (context, options) =>
      searchFineTuning(
        context,
        betweenLayers(raisedCount(options), (sigma) => factors(sigma, options)),
      ),
  };
}

const frozenOptions = z.strictObject({ topK, include, ...raisedBeside });

/** Trains all weights, but no matrix along the directions of its largest singular values, which stay as they are. */
export const besideTop = spectralPart<z.output<typeof frozenOptions>>(
  {
    name: 'beside-top',
    description: 'train all weights, no matrix along its largest singular directions',
    label: 'fine-tuning beside the top directions',
    options: frozenOptions,
  },
  (sigma) => sigma.slice(0, -1).map(() => 0),
);

const preconditionedOptions = z.strictObject({
  topK,
  include,
  ...raisedBeside,
  power: z
    .number()
    .gt(0)
    .max(2)
    .default(0.5)
    .describe(
      'the fixed layers divide a direction by the power of its singular value over the first one that is not raised',
    ),
});

/**
 * Trains all weights, each matrix between two fixed layers that are made of its own spectrum and take back what is raised in it: the
 * model grows by two layers a matrix, and its function stays at first.
 *
 * @see "Limits of Convergence-Rate Control for Open-Weight Safety", arXiv 2602.18868, on attackers who insert layers.
 */
export const preconditioned = spectralPart<z.output<typeof preconditionedOptions>>(
  {
    name: 'preconditioned',
    description: 'train each matrix between two fixed layers that its own largest singular values make small',
    label: 'preconditioned fine-tuning',
    options: preconditionedOptions,
  },
  (sigma, { power }) => {
    const level = sigma[sigma.length - 1];
    return sigma.slice(0, -1).map((value) => (value > 0 ? (level / value) ** power : 1));
  },
);
