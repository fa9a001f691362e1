import { type Evaluation, type ParameterSet, type RunState, WeightsKeeper } from '../../training/index.js';
import type { LockedMatrix } from './algorithm.js';

/** Keeps the last weights whose utility was above the floor, and all else that a resumed lock needs. */
export class UtilityGuard implements RunState {
  readonly lastGood: WeightsKeeper;
  /** Checks below the floor since the last one above it. */
  #below = 0;

  constructor(
    params: ParameterSet,
    readonly matrices: readonly LockedMatrix[],
    before: Evaluation,
    readonly floor: number,
    readonly patience: number,
  ) {
    this.lastGood = new WeightsKeeper(params, before);
  }

  /** Whether the weights after the kept ones were below the floor. */
  get endedBelow(): boolean {
    return this.#below > 0;
  }

  /** Notes the weights when the utility is above the floor, and ends the lock when it stays below. */
  check(step: number, utility: Evaluation): 'stop' | undefined {
    if (utility.accuracy >= this.floor && Number.isFinite(utility.loss)) {
      this.#below = 0;
      this.lastGood.keep(step, utility);
      return undefined;
    }
    // A push that costs utility is often made good by the retain loss some steps later.
    this.#below++;
    return this.#below >= this.patience || !Number.isFinite(utility.loss) ? 'stop' : undefined;
  }

  save() {
    const { extra, meta } = this.lastGood.save();
    const subspaces = this.matrices.map(({ name, svd }) => [`subspace/${name}`, svd.state()] as const);
    return { extra: { ...extra, ...Object.fromEntries(subspaces) }, meta: { ...meta, below: this.#below } };
  }

  restore(extra: Record<string, Float32Array | Float64Array>, meta: Record<string, unknown>): void {
    this.lastGood.restore(extra, meta);
    for (const { name, svd } of this.matrices) {
      const state = extra[`subspace/${name}`];
      if (state instanceof Float64Array) svd.restore(state);
    }
    this.#below = Number(meta.below);
  }
}
