import { allocateBatch, type Dataset, drawSome, gatherBatch, layoutAt } from '../../data/index.js';
import { type EngineOptions, ProgramCache } from '../../engine/index.js';
import { ancestors, div, matMul, mul, reduceSum, reshape, type Tensor, transpose } from '../../graph/index.js';
import type { TopSingularTriplets } from '../../linalg/index.js';
import type { ModelSpec, WeightMatrix } from '../../models/index.js';
import { type ArraySpecs, type Batch, batchSpecs, feedsOf, usesOf } from '../../nn/index.js';
import { taskOf } from '../../tasks/index.js';
import type { ParameterSet } from '../../training/index.js';

/** Examples that are looked at. */
const EXAMPLES = 32;

/**
 * The share of what a matrix gives that comes through its raised directions, on examples: with x what it is given,
 * `Σ_x Σ_j σ_j²·(v_j·x)² / Σ_x ‖W·x‖²`, j over the raised ones. 1: the function lives there alone, and a clip takes it.
 */
export class RaisedEnergy {
  readonly #programs: ProgramCache;
  readonly #specs: ArraySpecs;
  readonly #batch: Batch;

  constructor(
    readonly model: ModelSpec,
    dataset: Dataset,
    { seed, engine = {} }: { seed: number; engine?: EngineOptions },
  ) {
    this.#programs = new ProgramCache(engine);
    // Files are often sorted by class.
    const examples = drawSome(taskOf(model).view?.(dataset) ?? dataset, EXAMPLES, seed);
    const positions = Uint32Array.from({ length: examples.size }, (_, index) => index);
    const layout = layoutAt(examples, positions);
    this.#specs = batchSpecs(layout, positions.length);
    this.#batch = allocateBatch(this.#specs);
    gatherBatch(examples, positions, { batch: this.#batch, layout });
  }

  /** By the names of the matrices whose inputs are known; tables, whose rows are looked up, have none. */
  async shares(
    params: ParameterSet,
    matrices: readonly WeightMatrix[],
    triplets: ReadonlyMap<string, TopSingularTriplets>,
  ): Promise<Record<string, number>> {
    const sizes = matrices.map(({ name }) => [name, triplets.get(name)?.sigma.length ?? 0] as const);
    const program = await this.#programs.get(JSON.stringify(sizes), () => this.#graph(matrices, new Map(sizes)));
    const raised: Record<string, Float32Array> = {};
    for (const [name, { sigma, u, v }] of triplets) {
      const scaled = (vectors: Float32Array) => vectors.map((value, at) => value * sigma[at % sigma.length]);
      raised[input(name, false)] = scaled(v);
      raised[input(name, true)] = scaled(u);
    }
    const feeds = Object.fromEntries(
      Object.entries({ ...feedsOf(this.#batch, params), ...raised }).filter(([name]) => program.inputs.has(name)),
    );
    const results = await program.run(feeds);
    return Object.fromEntries(Object.entries(results).map(([name, [share]]) => [name, Number(share)]));
  }

  /** Frees what was made for it. */
  release(): Promise<void> {
    return this.#programs.release();
  }

  #graph(matrices: readonly WeightMatrix[], sizes: ReadonlyMap<string, number>): Record<string, Tensor> {
    const { outputs, scope } = this.model.build(this.#specs);
    const nodes = ancestors([outputs[taskOf(this.model).output]]);
    const found: Record<string, Tensor> = {};
    for (const { name, rows, columns } of matrices) {
      const parameter = scope.parameterInputs.get(name);
      const uses = parameter ? usesOf(nodes, parameter) : [];
      if ('unknown' in uses || uses.length === 0 || uses.some(({ kind }) => kind === 'table')) continue;
      const [use] = uses;
      const x = use.inputs();
      const side = use.isTransposed ? rows : columns;
      const directions = x.graph.input(input(name, use.isTransposed), [side, sizes.get(name) ?? 0]);
      const matrix = reshape(parameter as Tensor, [rows, columns]);
      const given = matMul(x, use.isTransposed ? matrix : transpose(matrix));
      found[name] = div(energyOf(matMul(x, directions)), energyOf(given));
    }
    return found;
  }
}

const input = (name: string, isTransposed: boolean) => `raised ${isTransposed ? 'u' : 'v'} ${name}`;
const energyOf = (values: Tensor) => reduceSum(mul(values, values));
