import { z } from 'zod';
import type { FlopTally } from '../../engine/index.js';
import { type StateDict, weightMatrices } from '../../models/index.js';
import { matrixProduct, type Operand } from '../../training/index.js';
import { countedTriplets } from '../preparation/closed-forms.js';
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
  /** `[rows, k]` and `[columns, k]`. */
  readonly u: Float32Array;
  readonly v: Float32Array;
  /** The same, each direction times its `1 − f`. */
  readonly weighted: { readonly u: Float32Array; readonly v: Float32Array };
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
      const first = (vectors: ArrayLike<number>, length: number, by: (direction: number) => number) =>
        Float32Array.from({ length: length * less.length }, (_, at) => {
          const direction = at % less.length;
          return by(direction) * vectors[Math.floor(at / less.length) * count + direction];
        });
      const sides = (by: (direction: number) => number) => ({ u: first(u, rows, by), v: first(v, columns, by) });
      around.set(name, { rows, columns, ...sides(() => 1), weighted: sides((direction) => less[direction]) });
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
      gradients: async (ofModel) => {
        const found = new Map<string, Float32Array>();
        for (const [name, gradient] of ofModel) {
          const own = around.get(name);
          found.set(name, own ? await through(gradient, own) : gradient);
        }
        return found;
      },
      write: async () => {
        for (const [name, own] of around) {
          const [changed, before, data] = [params.get(name), released.get(name), weights.get(name)];
          if (!changed || !before || !data) continue;
          const change = await through(changed, own);
          for (let i = 0; i < data.length; i++) data[i] = before[i] + change[i];
        }
      },
    };
  };
}

/** `L X R`, with the directions of one side side by side: `L X = X − U D (Uᵀ X)`. */
async function through(x: Float32Array, { rows, columns, u, v, weighted }: Around): Promise<Float32Array> {
  const k = u.length / rows;
  const [result, along] = [new Float32Array(x.length), new Float32Array(k * Math.max(rows, columns))];
  const [before, behind] = [along.subarray(0, k * columns), along.subarray(0, k * rows)];
  const [left, right]: [Operand<Float32Array>, Operand<Float32Array>] = [
    { values: u, shape: [rows, k] },
    { values: v, shape: [columns, k] },
  ];
  const matrix = (values: Float32Array): Operand<Float32Array> => ({ values, shape: [rows, columns] });
  const less = { scale: -1 };
  await matrixProduct({ ...left, isTransposed: true }, matrix(x), before);
  await matrixProduct({ ...left, values: weighted.u }, { values: before, shape: [k, columns] }, result, {
    ...less,
    plus: x,
  });
  await matrixProduct(matrix(result), right, behind);
  const transposed = { ...right, values: weighted.v, isTransposed: true };
  await matrixProduct({ values: behind, shape: [rows, k] }, transposed, result, { ...less, plus: result });
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
