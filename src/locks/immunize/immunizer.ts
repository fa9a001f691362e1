import { type EngineOptions, ProgramCache } from '../../engine/index.js';
import type { Tensor } from '../../graph/index.js';
import { RandomStream } from '../../linalg/index.js';
import type { ModelSpec } from '../../models/index.js';
import { type ArraySpecs, batchInput, feedsOf } from '../../nn/index.js';
import { taskOf } from '../../tasks/index.js';
import type { ParameterSet } from '../../training/index.js';
import type { TermBatch, TermBatches } from '../term-batches.js';
import { addGradients, gradientOutputs, gradientsIn, type TermGradients } from '../term-gradients.js';
import { type ConditionTerm, illConditioned, wellConditioned } from './condition.js';
import { featuresOf } from './features.js';
import type { ImmunizeOptions } from './options.js';

/** What a step found of features; a term whose singular values are all equal has no value. */
export type Conditions = {
  /** Condition number of FᵀF of the owner's features. */
  readonly ownerCondition?: number;
  /** Condition number of FᵀF of the attacker's. */
  readonly attackerCondition?: number;
  /** Value of the term of the owner's. */
  readonly wellTerm?: number;
  /** Value of the term of the attacker's. */
  readonly illTerm?: number;
};

/** Name of the batch's array with the gradient by the features. */
const SLOPE = 'slope';

/** The two terms of the condition number, each on a batch of its own. */
export class Immunizer {
  readonly #programs: ProgramCache;

  constructor(
    readonly model: ModelSpec,
    readonly data: { readonly owner: TermBatches; readonly attackers: readonly TermBatches[] },
    readonly options: Pick<ImmunizeOptions, 'illWeight' | 'wellWeight' | 'termClipNorm'>,
    readonly run: { readonly seed: number; readonly engine?: EngineOptions },
  ) {
    this.#programs = new ProgramCache(run.engine);
  }

  /** Adds the gradients of `wellWeight · R_well(owner) + illWeight · R_ill(attacker)` to that of a step, in place. */
  async pull(params: ParameterSet, gradients: ParameterSet, step: number): Promise<Conditions> {
    const { owner, attackers } = this.data;
    const { illWeight, wellWeight } = this.options;
    const drawn = new RandomStream(this.run.seed, 'immunize task', step).integer(attackers.length);
    const to = { params, gradients };
    const well = wellWeight > 0 ? await this.#add(owner.at(step), wellConditioned, wellWeight, to) : undefined;
    const ill = illWeight > 0 ? await this.#add(attackers[drawn].at(step), illConditioned, illWeight, to) : undefined;
    return {
      ...(well && { ownerCondition: well.condition, wellTerm: well.value }),
      ...(ill && { attackerCondition: ill.condition, ...(Number.isFinite(ill.value) && { illTerm: ill.value }) }),
    };
  }

  /** Frees what was made for it. */
  release(): Promise<void> {
    return this.#programs.release();
  }

  async #add(
    { specs, batch }: TermBatch,
    term: (features: Float32Array, examples: number, width: number) => ConditionTerm,
    weight: number,
    { params, gradients: to }: { params: ParameterSet; gradients: ParameterSet },
  ): Promise<ConditionTerm | undefined> {
    const key = JSON.stringify(specs);
    const forward = await this.#programs.get(`features ${key}`, () => ({ features: this.#features(specs).features }));
    const feeds = feedsOf(batch, params);
    const features = (await forward.run(feeds)).features as Float32Array;
    // Of a model that diverged; the retain loss says so.
    if (!features.every((value) => Number.isFinite(value))) return undefined;
    const [examples, width] = forward.shapes.features;
    const found = term(features, examples, width);
    const back = await this.#programs.get(`slopes ${key}`, () => this.#slopes(specs));
    const slope = Float32Array.from(found.slope, (value) => weight * value);
    const slopes = gradientsIn(await back.run({ ...feeds, [batchInput(SLOPE)]: slope }));
    addGradients(to, slopes, this.#clip(slopes));
    return found;
  }

  /** The factor that brings gradients to the longest that is allowed. */
  #clip(gradients: TermGradients): number {
    const { termClipNorm } = this.options;
    if (termClipNorm === undefined) return 1;
    const squares = gradients.reduce((sum, [, values]) => values.reduce((own, value) => own + value * value, sum), 0);
    return Math.min(1, termClipNorm / Math.sqrt(squares));
  }

  #features(specs: ArraySpecs) {
    const pass = this.model.build(specs);
    return { ...pass, features: featuresOf(pass, pass.outputs[taskOf(this.model).output]) };
  }

  #slopes(specs: ArraySpecs): Record<string, Tensor> {
    const { graph, scope, features } = this.#features(specs);
    return gradientOutputs(scope, features, graph.input(batchInput(SLOPE), features.shape, features.dtype));
  }
}
