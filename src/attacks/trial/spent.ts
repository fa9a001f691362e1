/**
 * What was computed for an attacker, the same on every machine. Measuring scores on test examples is not part of it: that is the
 * judge's.
 */
export interface Spent {
  /** Optimizer steps. */
  readonly steps: number;
  /** Examples that the steps were computed on, each as often as it was used. */
  readonly samples: number;
  /** Floating-point operations, counted from the graphs that were run; of an optimizer's own arithmetic none. */
  readonly flops: number;
}

/** All together. */
export function sumOfSpent(parts: readonly Spent[]): Spent {
  return parts.reduce(
    (sum, { steps, samples, flops }) => ({
      steps: sum.steps + steps,
      samples: sum.samples + samples,
      flops: sum.flops + flops,
    }),
    { steps: 0, samples: 0, flops: 0 },
  );
}
