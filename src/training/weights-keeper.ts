import type { ParameterSet } from './optimizers/index.js';

/** A copy of the parameters of one step, kept through checkpoints: the best so far, or the last good ones. */
export class WeightsKeeper<Found> {
  /** Step of the kept weights. */
  step = 0;
  /** Their evaluation. */
  evaluation: Found;
  readonly #kept: Map<string, Float32Array>;

  /** Keeps the parameters as they are now, step 0. */
  constructor(
    /** The parameters, changed by {@link goBack}. */
    readonly params: ParameterSet,
    evaluation: Found,
  ) {
    this.evaluation = evaluation;
    this.#kept = new Map([...params].map(([name, values]) => [name, values.slice()]));
  }

  /** Keeps the parameters as they are now. */
  keep(step: number, evaluation: Found): void {
    this.step = step;
    this.evaluation = evaluation;
    for (const [name, values] of this.params) this.#kept.get(name)?.set(values);
  }

  /** Sets the parameters back to the kept ones. */
  goBack(): void {
    for (const [name, values] of this.params) values.set(this.#kept.get(name) ?? values);
  }

  /** What a checkpoint has to hold. */
  save(): { extra: Record<string, Float32Array>; meta: Record<string, unknown> } {
    const extra = Object.fromEntries([...this.#kept].map(([name, values]) => [`kept/${name}`, values]));
    return { extra, meta: { keptStep: this.step, keptEvaluation: { ...this.evaluation } } };
  }

  /** Takes back what {@link save} gave. */
  restore(extra: Readonly<Record<string, Float32Array | Float64Array>>, meta: Readonly<Record<string, unknown>>): void {
    for (const [name, values] of this.#kept) values.set(extra[`kept/${name}`] ?? []);
    this.step = Number(meta.keptStep);
    this.evaluation = meta.keptEvaluation as Found;
  }
}
