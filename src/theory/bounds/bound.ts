import type { Figure2Data } from '../networks.js';

/** Values of a network's parameters by name. */
export type Values = ReadonlyMap<string, Float64Array>;

/**
 * A lower bound for the largest eigenvalue of one diagonal block of the Hessian by one weight matrix: `λ_max(H_block) ≥
 * σ_max(weight)² · factor − slack`. It holds for the whole Hessian too, whose largest singular value is no less.
 */
export interface BlockBound {
  /** The parameter whose block it is. */
  readonly block: string;
  /** The weight matrix that it depends on. */
  readonly weight: string;
  /** σ_max of that matrix, biases aside. */
  readonly sigma: number;
  /** A: what it is multiplied by. */
  readonly factor: number;
  /**
   * What second derivatives of the network itself may take away; 0 where the block is its Gauss-Newton part, because the
   * network is piecewise linear in it. `undefined`: it has to be measured, as the norm of the block's other part.
   */
  readonly slack: number | undefined;
}

/** Bounds of a network at a point. */
export type BoundsOf = (values: Values, data: Figure2Data) => BlockBound[];

/** A parameter, which must be there. */
export function parameterOf(values: Values, name: string): Float64Array {
  const found = values.get(name);
  if (!found) throw new RangeError(`expected a parameter ${name}`);
  return found;
}
