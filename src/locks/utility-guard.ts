import type { FlopTally } from '../engine/index.js';
import type { Evaluation, Task } from '../tasks/index.js';
import { type ParameterSet, type RunState, WeightsKeeper } from '../training/index.js';

/** What a lock may cost the model that it locks. */
export interface UtilityBudget {
  /** Lowest score on the validation examples, in the task's metric: accuracy of a classifier. */
  readonly floor: number;
  /** Largest divergence from the original's outputs, in the task's metric: mean KL in nats of a classifier; null: any. */
  readonly maxKl: number | null;
  /** Checks in a row outside the budget before the lock ends. */
  readonly patience: number;
}

/** A check of a lock's utility. */
export interface UtilityCheck {
  /** Step of its weights. */
  readonly step: number;
  /** What it measured. */
  readonly evaluation: Evaluation;
}

/** Keeps the last weights whose utility was within the budget. */
export class UtilityGuard implements RunState {
  /** The last weights within the budget; at first those before the lock. */
  readonly lastGood: WeightsKeeper<Evaluation>;
  /** Checks outside the budget since the last one within. */
  #outside = 0;
  #nearest: UtilityCheck | undefined;

  constructor(
    params: ParameterSet,
    before: Evaluation,
    /** What the lock may cost. */
    readonly budget: UtilityBudget,
    /** Which metrics of the task the budget is of. */
    readonly roles: Task['roles'],
    /** What the lock has computed so far: a checkpoint keeps it, so that a run that goes on counts what the whole took. */
    readonly tally?: FlopTally,
  ) {
    this.lastGood = new WeightsKeeper(params, before);
  }

  /** Whether the weights after the kept ones were outside the budget. */
  get endedOutside(): boolean {
    return this.#outside > 0;
  }

  /** Whether weights of a step after the first were within the budget. */
  get hasGood(): boolean {
    return this.lastGood.step > 0;
  }

  /**
   * Where no check was within the budget, the one that missed it by least: of those with the score it asks for the one with the least
   * divergence, else the one with the best score.
   */
  get nearest(): UtilityCheck | undefined {
    return this.hasGood ? undefined : this.#nearest;
  }

  /** Goes back to the kept weights because the next ones are no numbers, and notes that the lock ended there. */
  diverged(): void {
    this.lastGood.goBack();
    this.#outside++;
  }

  /** Notes the weights when their utility is within the budget, and ends the lock when it stays outside. */
  check(step: number, utility: Evaluation): 'stop' | undefined {
    const { floor, maxKl, patience } = this.budget;
    const { roles } = this;
    const { [roles.score]: score, [roles.divergence]: divergence, [roles.notFinite]: notFinite } = utility.metrics;
    const isUsable = divergence !== null && score !== null && notFinite === 0;
    if (isUsable && score >= floor && (maxKl === null || divergence <= maxKl)) {
      this.#outside = 0;
      this.lastGood.keep(step, utility);
      return undefined;
    }
    if (isUsable && (!this.#nearest || this.#isNearer(utility, this.#nearest.evaluation))) {
      this.#nearest = { step, evaluation: utility };
    }
    // A push that costs utility is often made good by the retain loss some steps later.
    this.#outside++;
    return this.#outside >= patience || !isUsable ? 'stop' : undefined;
  }

  #isNearer(one: Evaluation, other: Evaluation): boolean {
    const { score, divergence } = this.roles;
    const { [score]: own, [divergence]: far } = one.metrics;
    const { [score]: known, [divergence]: distance } = other.metrics;
    // Those that are kept are numbers.
    const [a, b] = [Number(own), Number(known)];
    const { floor } = this.budget;
    return a >= floor && b >= floor ? Number(far) < Number(distance) : a > b;
  }

  save() {
    const { extra, meta } = this.lastGood.save();
    const nearest = this.#nearest && { nearest: this.#nearest };
    return {
      extra,
      meta: { ...meta, outside: this.#outside, ...nearest, ...(this.tally && { flops: this.tally.flops }) },
    };
  }

  restore(extra: Record<string, Float32Array | Float64Array>, meta: Record<string, unknown>): void {
    this.lastGood.restore(extra, meta);
    this.#outside = Number(meta.outside);
    this.#nearest = meta.nearest as UtilityCheck | undefined;
    // What was computed anew to go on is not a part of it.
    if (this.tally && typeof meta.flops === 'number') this.tally.flops = meta.flops;
  }
}
