import type { Feeds, ProgramCache, Results } from '../engine/index.js';
import { add, ancestors, gradients, reduceSum, type Tensor } from '../graph/index.js';
import { biasOf, secondMoment, usesOf } from '../nn/index.js';
import type { FactorQuestion, LayerFactors } from './optimizers/index.js';

/** The graph of a loss, as far as the factors of its layers need it. */
export interface FactorGraph {
  /** Whose gradients the factors are made of: a mean over a batch's targets. */
  readonly loss: Tensor;
  /** Graph inputs of the parameters by name. */
  readonly parameters: ReadonlyMap<string, Tensor>;
}

/** What factors are computed of. */
export interface FactorBatch {
  /** Batch and parameters by input name, answers among them. */
  readonly feeds: Feeds;
  /** Targets that the loss is a mean over. */
  readonly count: number;
  /** Factor of the loss in what is descended: that of its Fisher matrix. */
  readonly weight: number;
}

/** A layer, and how many rows its uses have: those that no mask is for, and whether a program counts further ones. */
interface Layer extends Pick<LayerFactors, 'weight' | 'bias' | 'isTransposed'> {
  readonly unmasked: number;
  readonly isMasked: boolean;
  readonly sizes: { readonly inputs: number; readonly outputs: number };
}

/** Factors of the layers of one loss. A program is compiled when they are first asked for. */
export class FactorPrograms {
  readonly #layers = new Map<string, readonly Layer[]>();

  /**
   * @param cache - Keeps the programs, and frees them.
   * @param key - Names the loss within the cache.
   * @param build - Writes it into a graph of its own.
   */
  constructor(
    readonly cache: ProgramCache,
    readonly key: string,
    readonly build: (labels: FactorQuestion['labels']) => FactorGraph,
  ) {}

  /** The factors, in the order of the parameters. */
  async factors(
    { labels, longest }: Omit<FactorQuestion, 'seed'>,
    { feeds, count, weight }: FactorBatch,
  ): Promise<LayerFactors[]> {
    const key = `${this.key} factors of ${labels}, ${longest}`;
    let made: ReturnType<typeof factorOutputs> | undefined;
    const make = () => {
      made ??= factorOutputs(this.build(labels), longest);
      return made;
    };
    const layers = this.#layers.get(key) ?? make().layers;
    this.#layers.set(key, layers);
    if (layers.length === 0) return [];
    const results = await (await this.cache.get(key, () => make().outputs)).run(feeds);
    return layers.map((layer, index) => factorsOf(layer, index, results, { count, weight, longest }));
  }
}

/** The layers that factors are known of, and for each of them, by its number, sums over the rows of its uses. */
function factorOutputs({ loss, parameters }: FactorGraph, longest: number) {
  const nodes = ancestors([loss]);
  const known = [...parameters].flatMap(([weight, parameter]) => {
    const uses = parameter.rank > 1 ? usesOf(nodes, parameter) : [];
    if ('unknown' in uses || uses.length === 0 || uses.some(({ kind }) => kind === 'table')) return [];
    return [{ weight, uses }];
  });
  const slopes = gradients(
    loss,
    known.flatMap(({ uses }) => uses.map(({ output }) => output)),
  );
  const outputs: Record<string, Tensor> = {};
  const layers: Layer[] = [];
  let at = 0;
  for (const { weight, uses } of known) {
    const own = uses.flatMap((use) => {
      const slope = slopes[at++];
      return slope ? [{ use, slope }] : [];
    });
    // What the loss does not depend on has no gradient either.
    if (own.length === 0) continue;
    const index = layers.length;
    const inputs = own.map(({ use }) => use.inputs());
    const bias = biasOf(nodes, uses, parameters);
    const counted = own.map(({ use }) => use.counted());
    outputs[`in ${index}`] = sum(inputs.map((rows) => secondMoment(rows, longest)));
    outputs[`out ${index}`] = sum(own.map(({ use, slope }) => secondMoment(use.rows(slope), longest)));
    if (bias !== undefined) outputs[`sum ${index}`] = reduceSum(inputs[0], { axes: [0] });
    const unmasked = inputs.reduce((total, { shape }, use) => total + (counted[use] ? 0 : shape[0]), 0);
    const masked = counted.flatMap((rows) => (rows ? [reduceSum(rows)] : []));
    if (masked.length > 0) outputs[`rows ${index}`] = sum(masked);
    layers.push({
      ...{ weight, bias, isTransposed: uses[0].isTransposed },
      ...{ unmasked, isMasked: masked.length > 0 },
      sizes: { inputs: inputs[0].shape[1], outputs: own[0].use.rows(own[0].slope).shape[1] },
    });
  }
  return { outputs, layers };
}

function sum(tensors: readonly Tensor[]): Tensor {
  return tensors.reduce((a, b) => add(a, b));
}

function factorsOf(
  { weight, bias, isTransposed, unmasked, isMasked, sizes }: Layer,
  index: number,
  results: Results,
  { count, weight: factor, longest }: Pick<FactorBatch, 'count' | 'weight'> & { readonly longest: number },
): LayerFactors {
  const rows = unmasked + (isMasked ? Number(results[`rows ${index}`][0]) : 0);
  const read = (name: string) => results[`${name} ${index}`] as Float32Array;
  const perExample = 1 / Math.max(count, 1);
  const inputs = withOne(
    read('in'),
    sizes.inputs,
    longest,
    bias === undefined ? undefined : { sums: read('sum'), rows },
  );
  for (let i = 0; i < inputs.length; i++) inputs[i] *= perExample;
  // Gradients of a mean over the batch: those of an example's loss are so many times as long.
  const scale = (factor * count * count) / Math.max(rows, 1);
  return {
    weight,
    ...(bias !== undefined && { bias }),
    isTransposed,
    inputs,
    outputs: read('out').map((g) => scale * g),
  };
}

/** The sum of `x xᵀ`, or its diagonal, of which x has a last element 1 more where there is a bias. */
function withOne(
  moment: Float32Array,
  size: number,
  longest: number,
  bias: { readonly sums: Float32Array; readonly rows: number } | undefined,
): Float32Array {
  if (!bias) return moment.slice();
  const { sums, rows } = bias;
  const side = size + 1;
  if (size > longest) {
    const all = new Float32Array(side);
    all.set(moment);
    all[size] = rows;
    return all;
  }
  const all = new Float32Array(side * side);
  for (let i = 0; i < size; i++) {
    all.set(moment.subarray(i * size, (i + 1) * size), i * side);
    all[i * side + size] = sums[i];
  }
  all.set(sums, size * side);
  all[side * side - 1] = rows;
  return all;
}

/** The mean of the factors of the parts of a batch, each weighted with its targets. */
export function meanFactors(parts: readonly { readonly count: number; readonly factors: readonly LayerFactors[] }[]) {
  const total = Math.max(
    parts.reduce((all, { count }) => all + count, 0),
    1,
  );
  const [first] = parts;
  return first.factors.map((layer, index): LayerFactors => {
    const mean = (side: 'inputs' | 'outputs') => {
      const all = new Float64Array(layer[side].length);
      for (const { count, factors } of parts) {
        factors[index][side].forEach((value, i) => {
          all[i] += (count / total) * value;
        });
      }
      return Float32Array.from(all);
    };
    return { ...layer, inputs: mean('inputs'), outputs: mean('outputs') };
  });
}
