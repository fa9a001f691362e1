import type { Feeds, ProgramCache, Results } from '../engine/index.js';
import { add, type FloatArray, gradients, mul, reduceSum, type Tensor, type TypedArray } from '../graph/index.js';
import { InputError } from '../registry/index.js';
import type { FactorQuestion, LayerFactors, ParameterSet, StepOracle } from './optimizers/index.js';

/** The graph of a loss, as far as second derivatives need it. */
export interface LossGraph {
  /** `loss`, and `grad <name>` for each parameter that has a gradient. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** The model's output that the loss is computed from. */
  readonly output: Tensor;
  /** Graph inputs of the parameters by name. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** `H_L u`, H_L the second derivatives of the loss by the output. */
  readonly curvature: (output: Tensor, u: Tensor) => Tensor;
  /** Losses of the examples, `[n]`, whose mean the loss is; for the empirical Fisher matrix alone. */
  readonly perExample?: Tensor;
}

/**
 * Matrices of second derivatives: the Hessian; its Gauss-Newton part `Jᵀ H_L J`, which is the Fisher information of the predicted
 * distribution where the loss is a cross entropy; and the empirical Fisher matrix `1/n · Σ g gᵀ` of the examples' gradients g.
 */
export type CurvatureKind = 'hessian' | 'gauss-newton' | 'empirical-fisher';

const vectorName = (name: string) => `v ${name}`;
const productName = (name: string) => `product ${name}`;

/** Products with second derivatives of one loss. A program is compiled when its product is first asked for. */
export class CurvaturePrograms {
  readonly #products = new Map<CurvatureKind, { readonly of: Results; readonly values: ParameterSet<FloatArray> }>();

  /**
   * @param cache - Keeps the programs, and frees them.
   * @param key - Names the loss within the cache.
   * @param build - Writes the loss into a graph of its own.
   */
  constructor(
    readonly cache: ProgramCache,
    readonly key: string,
    readonly build: () => LossGraph,
  ) {}

  /**
   * One product, in arrays that the next product of its kind writes over.
   *
   * @param feeds - Batch and parameters by input name.
   * @param v - Factor, with an entry for every parameter that has a gradient.
   */
  async product<Values extends FloatArray>(
    kind: CurvatureKind,
    feeds: Feeds,
    v: ParameterSet<Values>,
  ): Promise<ParameterSet<Values>> {
    const program = await this.cache.get(`${this.key} ${kind}`, () => productOutputs(kind, this.build()));
    const all: Record<string, TypedArray> = { ...feeds };
    for (const [name, values] of v) all[vectorName(name)] = values;
    const results = await program.run(all);
    const known = this.#products.get(kind);
    // A program's arrays have the type of the graph that v was made for.
    if (known?.of === results) return known.values as ParameterSet<Values>;
    const product = new Map(
      Array.from(v, ([name, values]) => [name, (results[productName(name)] as Values) ?? values.map(() => 0)]),
    );
    this.#products.set(kind, { of: results, values: product });
    return product;
  }
}

/** A step's batch and parameters, and what may be asked about them. */
export class BatchOracle implements StepOracle {
  readonly loss: number;
  #evaluations: number;

  /**
   * @param known - The loss before the update, and what it cost in evaluations of the gradient.
   * @param again - Computes it once more, with gradients or without, and says what that cost.
   */
  constructor(
    known: { readonly loss: number; readonly evaluations: number },
    private readonly feeds: Feeds,
    private readonly again: {
      evaluate(): Promise<{ readonly loss: number; readonly gradients: ParameterSet; readonly cost: number }>;
      lossAlone(): Promise<{ readonly loss: number; readonly cost: number }>;
    },
    private readonly programs: CurvaturePrograms,
    private readonly factors: BatchFactors,
  ) {
    this.loss = known.loss;
    this.#evaluations = known.evaluations;
  }

  get evaluations(): number {
    return this.#evaluations;
  }

  async lossAlone(): Promise<number> {
    const { loss, cost } = await this.again.lossAlone();
    this.#evaluations += cost;
    return loss;
  }

  async evaluate(): ReturnType<StepOracle['evaluate']> {
    const { cost, ...found } = await this.again.evaluate();
    this.#evaluations += cost;
    return found;
  }

  hessianProduct(v: ParameterSet): Promise<ParameterSet> {
    this.#evaluations += productCost;
    return this.programs.product('hessian', this.feeds, v);
  }

  gaussNewtonProduct(v: ParameterSet): Promise<ParameterSet> {
    this.#evaluations += productCost;
    return this.programs.product('gauss-newton', this.feeds, v);
  }

  async kroneckerFactors(question: FactorQuestion): Promise<readonly LayerFactors[]> {
    const { factors, cost } = await this.factors(question, this.feeds);
    this.#evaluations += cost;
    return factors;
  }
}

/** Factors of the layers on a step's batch, and what they cost in evaluations of the gradient. */
export type BatchFactors = (
  question: FactorQuestion,
  feeds: Feeds,
) => Promise<{ readonly factors: readonly LayerFactors[]; readonly cost: number }>;

/** What a product costs in evaluations of the gradient (cnn and mlp, batch 64: Hessian 1.9 to 2.5, Gauss-Newton 1.5 to 1.9). */
const productCost = 2;

/** The product for each parameter; none where it is zero whatever v is. */
function productOutputs(kind: CurvatureKind, loss: LossGraph): Record<string, Tensor> {
  const names = [...loss.parameters.keys()];
  const found = products[kind](loss);
  return Object.fromEntries(names.flatMap((name, index) => (found[index] ? [[productName(name), found[index]]] : [])));
}

/** `∂ ⟨∇ loss, v⟩ / ∂ θ`. */
function hessianProduct({ outputs, parameters }: LossGraph): (Tensor | undefined)[] {
  const gradient = Array.from(parameters.keys(), (name) => outputs[`grad ${name}`]);
  return gradients(innerProduct(gradient, parameters), [...parameters.values()]);
}

/** `1/n · Jᵀ J v`, J the derivatives of the examples' losses. */
function empiricalFisherProduct({ perExample, parameters }: LossGraph): (Tensor | undefined)[] {
  if (!perExample) throw new InputError('empirical Fisher: expected a loss that is known of each example, found none');
  return throughOutput(perExample, parameters, (u) => mul(u, 1 / perExample.size));
}

const products: Readonly<Record<CurvatureKind, (loss: LossGraph) => (Tensor | undefined)[]>> = {
  hessian: hessianProduct,
  'gauss-newton': ({ output, parameters, curvature }) => throughOutput(output, parameters, (u) => curvature(output, u)),
  'empirical-fisher': empiricalFisherProduct,
};

/**
 * `Jᵀ C J v`, J the derivatives of an output. `Jᵀ w` is a gradient and linear in w, so its own gradient `∂ ⟨Jᵀ w, v⟩ / ∂ w` is `J v`, whatever w is.
 */
function throughOutput(
  output: Tensor,
  parameters: ReadonlyMap<string, Tensor>,
  middle: (u: Tensor) => Tensor,
): (Tensor | undefined)[] {
  const inputs = [...parameters.values()];
  const w = output.graph.input('cotangent', output.shape, output.dtype);
  const [u] = gradients(innerProduct(gradients(output, inputs, w), parameters), [w]);
  if (!u) return inputs.map(() => undefined);
  return gradients(output, inputs, middle(u));
}

/** `Σ ⟨tensor, v⟩` over the parameters that have a tensor, with a graph input for each v. */
function innerProduct(tensors: readonly (Tensor | undefined)[], parameters: ReadonlyMap<string, Tensor>): Tensor {
  const parts = [...parameters].flatMap(([name, { graph, shape, dtype }], index) => {
    const tensor = tensors[index];
    return tensor ? [reduceSum(mul(tensor, graph.input(vectorName(name), shape, dtype)))] : [];
  });
  return parts.reduce((a, b) => add(a, b));
}
