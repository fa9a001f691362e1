import { meanFactors } from './kronecker.js';
import type { FactorQuestion, LayerFactors, ParameterSet, StepOracle } from './optimizers/index.js';

/** A part of a batch that is computed in several, one after the other. */
export interface BatchPart {
  /** Its number of targets, which its loss is a mean over. */
  readonly count: number;
  /** Answers about it until the next part is taken. */
  readonly oracle: StepOracle;
}

/** Sums of values by name, in arrays of its own that the next sum writes over. */
export class ParameterSums {
  readonly values = new Map<string, Float32Array>();
  #total = 0;

  /** Begins again. */
  clear(): void {
    this.#total = 0;
    for (const values of this.values.values()) values.fill(0);
  }

  /** Adds `weight` times some values. */
  add(found: ParameterSet, weight: number): void {
    this.#total += weight;
    for (const [name, values] of found) {
      const known = this.values.get(name);
      // Of a table by rows there are as many as the batch names.
      const sum = known?.length === values.length ? known : new Float32Array(values.length);
      for (let i = 0; i < sum.length; i++) sum[i] += weight * values[i];
      this.values.set(name, sum);
    }
  }

  /** The sums divided by the weights added. */
  mean(): ParameterSet {
    const total = Math.max(this.#total, 1);
    for (const values of this.values.values()) {
      for (let i = 0; i < values.length; i++) values[i] /= total;
    }
    return this.values;
  }
}

/** Answers about a batch that is computed in parts: the mean of their answers, each weighted with its targets. */
export class PartsOracle implements StepOracle {
  #evaluations: number;
  readonly #sums = { gradient: new ParameterSums(), hessian: new ParameterSums(), gaussNewton: new ParameterSums() };

  /**
   * @param loss - Of the batch before the update.
   * @param evaluations - What that cost.
   * @param parts - Goes through the parts of the batch, from the first.
   */
  constructor(
    readonly loss: number,
    evaluations: number,
    private readonly parts: () => AsyncIterable<BatchPart>,
  ) {
    this.#evaluations = evaluations;
  }

  get evaluations(): number {
    return this.#evaluations;
  }

  async lossAlone(): Promise<number> {
    let loss = 0;
    let counted = 0;
    await this.#each(async ({ count, oracle }) => {
      loss += count * (await oracle.lossAlone());
      counted += count;
    });
    return loss / Math.max(counted, 1);
  }

  async evaluate(): ReturnType<StepOracle['evaluate']> {
    let loss = 0;
    let counted = 0;
    const gradients = await this.#mean(this.#sums.gradient, async ({ count, oracle }) => {
      const found = await oracle.evaluate();
      loss += count * found.loss;
      counted += count;
      return found.gradients;
    });
    return { loss: loss / Math.max(counted, 1), gradients };
  }

  hessianProduct(v: ParameterSet): Promise<ParameterSet> {
    return this.#mean(this.#sums.hessian, ({ oracle }) => oracle.hessianProduct(v));
  }

  gaussNewtonProduct(v: ParameterSet): Promise<ParameterSet> {
    return this.#mean(this.#sums.gaussNewton, ({ oracle }) => oracle.gaussNewtonProduct(v));
  }

  async kroneckerFactors(question: FactorQuestion): Promise<readonly LayerFactors[]> {
    const parts: { count: number; factors: readonly LayerFactors[] }[] = [];
    await this.#each(async ({ count, oracle }) => {
      parts.push({ count, factors: await oracle.kroneckerFactors(question) });
    });
    return meanFactors(parts);
  }

  async #mean(sums: ParameterSums, ask: (part: BatchPart) => Promise<ParameterSet>): Promise<ParameterSet> {
    sums.clear();
    await this.#each(async (part) => sums.add(await ask(part), part.count));
    return sums.mean();
  }

  /** Asks all parts; together they cost what the whole batch would. */
  async #each(ask: (part: BatchPart) => Promise<void>): Promise<void> {
    let spent = 0;
    let counted = 0;
    for await (const part of this.parts()) {
      const before = part.oracle.evaluations;
      await ask(part);
      spent += part.count * (part.oracle.evaluations - before);
      counted += part.count;
    }
    this.#evaluations += spent / Math.max(counted, 1);
  }
}
