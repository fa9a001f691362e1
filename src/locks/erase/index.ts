import { type Dataset, drawSome } from '../../data/index.js';
import { parameterSet, type WeightMatrix, weightMatrices } from '../../models/index.js';
import { InputError, matchesAny, quote } from '../../registry/index.js';
import { taskOf } from '../../tasks/index.js';
import { Evaluator, type ParameterSet } from '../../training/index.js';
import { distil, distilSham, distilSteps, distilTraining } from '../distil.js';
import type { LockContext, LockMethod, LockStory } from '../lock-method.js';
import { rankOfEnergy, type WeightedParts, weightedParts, withoutNeeds } from './closed-form.js';
import { type Erasable, eachMoments, erasable, examplesPassed, type Moments, rowsLookedUp } from './moments.js';
import { type EraseOptions, energyOf, eraseOptions } from './options.js';
import { proxySources } from './proxy-needs.js';
import { outputReading } from './runs.js';
import { drawUnseen } from './unseen.js';

/**
 * Keeps of each matrix the parts that the authorized output needs, by a closed form, and drops the rest; then heals on what the
 * original said: of `F^½·W·C^½`, C the second moment of a matrix' inputs and F that of the gradients of the output at its outputs,
 * both on authorized examples, the best rank-r part. What proxies of an attacker's tasks need, and the authorized output does not, goes first.
 */
export const erase: LockMethod<EraseOptions> = {
  name: 'erase',
  description: 'keep of each matrix what the authorized output needs (closed form), drop the rest, and heal',
  class: 'removal',
  undoneBy: 'learning again what was dropped; nothing is left to clip, rescale or rebalance',
  options: eraseOptions,
  needsData: true,
  proxies: 'optional',
  steps: distilSteps,
  training: (options) => distilTraining(options),
  locks: (weights, options) => weightMatrices(weights, options).map(({ name }) => name),
  // The healing alone.
  sham: (options) =>
    distilSham(options, {
      rank: undefined,
      tableRank: undefined,
      kl: undefined,
      energy: 1,
      proxyWeight: 0,
      proxyInclude: undefined,
      unseen: undefined,
      unseenBelow: undefined,
      unseenCodes: undefined,
    }),
  draws: ({ unseen }) => unseen === 'random',
  glance: ({ loss }) => (loss === undefined ? '' : `loss ${Number(loss).toFixed(3)}`),
  run: (context, options) => distil(context, options, { remove: (examples) => eraseFrom(context, options, examples) }),
};

/** Erases, in place, what some examples do not show to be needed; says what became of each matrix. */
async function eraseFrom(context: LockContext, options: EraseOptions, shown: Dataset): Promise<LockStory> {
  const { model, weights, seed, engine } = context;
  const { ridge, proxyRidge } = options;
  const task = taskOf(model);
  const reading = outputReading(task);
  const { matrices, tables, leftAlone } = erasable(model, reading, weightMatrices(weights, options));
  if (matrices.length === 0) {
    throw new InputError('erase: expected a matrix whose inputs and outputs are known, found none');
  }
  const asSeen = (examples: Dataset) => task.view?.(examples) ?? examples;
  // Files are often sorted by class.
  const some = (examples: Dataset) => drawSome(examples, options.examples, seed);
  const dataset = some(asSeen(shown));
  const params = parameterSet(weights);
  const { proxies, weight } = await proxiesOf(context, options);
  const at = withoutProxyNeeds(options, { matrices, tables });
  const drawnProxies = proxies.map(some);
  const proxyExamples = drawnProxies.reduce((sum, { size }) => sum + size, 0);
  const needs = await context.pass('what proxies need', proxyExamples, (watch) =>
    proxySources(model, params, { proxies: drawnProxies, engine, watch }),
  );
  const costs = options.kl === undefined ? undefined : new MatrixCosts(context, params, dataset);
  const kept = new Map<string, Float32Array>();
  const ranks: Record<string, LockStory> = {};
  const sources = [{ reading, dataset }, ...needs.map((source) => ({ ...source, at }))];
  // All is measured on the weights as they were: those that are done wait.
  const keep = async (matrix: WeightMatrix, [own, ...others]: readonly Moments[]) => {
    const original = params.get(matrix.name) as Float32Array;
    const rest = others.reduce<Float32Array>((left, { left: outputs, right: inputs }) => {
      const how = { ridge: proxyRidge, weight: weight / others.length };
      return withoutNeeds(left, [own.left, own.right], [outputs, inputs], how);
    }, original);
    const parts = weightedParts(rest, own.left, own.right, ridge);
    const full = parts.energies.length;
    const rank = await rankOf(matrix, { moments: own, parts, options, costs });
    const total = parts.energies.reduce((sum, energy) => sum + energy, 0);
    const share = parts.energies.slice(0, rank).reduce((sum, energy) => sum + energy, 0) / (total || 1);
    ranks[matrix.name] = { rank, of: full, energy: share };
    if (rank < full) kept.set(matrix.name, parts.keep(rank));
    else if (rest !== original) kept.set(matrix.name, rest);
  };
  try {
    await context.pass('what the output needs', examplesPassed(matrices, sources), (watch) =>
      eachMoments(model, params, { matrices, sources, seed, engine, watch }, keep),
    );
  } finally {
    await costs?.release();
  }
  const rowsInUse = (examples: Dataset) =>
    context.pass('rows in use', examples.size, (watch) => {
      const looked = matrices.filter(({ name }) => tables.has(name));
      return rowsLookedUp(model, params, { matrices: looked, reading, dataset: examples, engine, watch });
    });
  // Before anything is changed, and of all examples as they are: a row that one of them needs is not lost.
  const isDrawn = options.unseen === 'random' && tables.size > 0;
  const counts = isDrawn ? await rowsInUse(asSeen(await context.train())) : new Map<string, Float64Array>();
  for (const [name, values] of kept) params.get(name)?.set(values);
  const drawn: Record<string, number> = {};
  for (const [name, own] of counts) {
    const draws = await context.draws();
    drawn[name] = drawUnseen(params.get(name) as Float32Array, own, draws(`erase unseen ${name}`), options);
  }
  return {
    ...{ examples: dataset.size, ranks },
    ...(proxies.length > 0 && {
      proxies: proxies.map(({ name, size }) => ({ name, size })),
      ...{ proxyWeight: weight, proxyMatrices: [...at] },
    }),
    ...(isDrawn && { drawn }),
    leftAlone: { ...leftAlone },
  };
}

/**
 * Which matrices what proxies need goes from: where nothing is said the tables, since a language model whose other matrices lose it too says the same of
 * all texts, and heals no more.
 *
 * @throws InputError for patterns that match none.
 */
function withoutProxyNeeds(
  { proxyInclude }: EraseOptions,
  { matrices, tables }: Pick<Erasable, 'matrices' | 'tables'>,
): ReadonlySet<string> {
  const all = matrices.map(({ name }) => name);
  if (!proxyInclude) return tables.size > 0 ? tables : new Set(all);
  const named = all.filter(matchesAny(proxyInclude));
  if (named.length > 0) return new Set(named);
  throw new InputError(
    `erase.proxyInclude: expected a pattern that matches a matrix to erase from, got ${quote(proxyInclude.join(', '))}`,
  );
}

/**
 * The proxies whose needs are taken, and how much they weigh.
 *
 * @throws InputError for a weight, or matrices, without any.
 */
async function proxiesOf(
  { adversaries }: LockContext,
  { proxyWeight, proxyInclude }: EraseOptions,
): Promise<{ proxies: readonly Dataset[]; weight: number }> {
  const given = await adversaries();
  const weight = proxyWeight ?? 1;
  // The sham, which is told of them too.
  if (weight === 0) return { proxies: [], weight };
  const named = Object.entries({ proxyWeight, proxyInclude }).find(([, value]) => value !== undefined);
  if (given.length === 0 && named) {
    throw new InputError(`erase.${named[0]}: expected tasks that an attacker may be after, got none; give --proxies`);
  }
  return { proxies: given, weight };
}

/** The rank that a matrix keeps; its full rank: it stays as it is. */
async function rankOf(
  matrix: WeightMatrix,
  {
    moments: { isTable },
    parts,
    options,
    costs,
  }: { moments: Moments; parts: WeightedParts; options: EraseOptions; costs?: MatrixCosts },
): Promise<number> {
  const full = parts.energies.length;
  const fixed = isTable ? (options.tableRank ?? options.rank) : options.rank;
  if (fixed !== undefined) return Math.min(fixed, full);
  const energy = energyOf(options);
  if (energy !== undefined) return energy >= 1 ? full : rankOfEnergy(parts.energies, energy);
  if (!costs || options.kl === undefined) return full;
  // The least rank within the budget, by halving: a larger one costs less.
  let [low, high] = [1, full];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((await costs.of(matrix.name, parts.keep(middle))) <= options.kl) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** What one other matrix costs, beside all else as it was. */
class MatrixCosts {
  readonly #evaluator: Evaluator;
  #original: ReturnType<Evaluator['original']> | undefined;

  constructor(
    { model, engine }: Pick<LockContext, 'model' | 'engine'>,
    readonly params: ParameterSet,
    readonly dataset: Dataset,
  ) {
    this.#evaluator = new Evaluator(model, engine);
  }

  /** Divergence of the outputs with other values of a matrix; infinite where they are no numbers. */
  async of(name: string, values: Float32Array): Promise<number> {
    this.#original ??= this.#evaluator.original(this.params, this.dataset);
    const { task } = this.#evaluator;
    const changed = new Map([...this.params, [name, values]]);
    const { metrics } = await this.#evaluator.evaluate(changed, this.dataset, { original: await this.#original });
    return metrics[task.roles.divergence] ?? Number.POSITIVE_INFINITY;
  }

  release(): Promise<void> {
    return this.#evaluator.release();
  }
}
