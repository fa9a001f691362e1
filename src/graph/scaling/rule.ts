import type { Node } from '../graph.js';
import type { OpAttributes, OpType } from '../ops.js';
import type { Scale, ScaleSystem } from './system.js';

/**
 * How the outputs of an operator scale when its inputs do; conditions on the inputs go to the system. Left-out inputs
 * are undefined.
 */
export type ScaleRule<K extends OpType> = (
  inputs: readonly (Scale | undefined)[],
  node: Node<K>,
  system: ScaleSystem,
) => Scale;

/** One rule for each of some operators. */
export type ScaleRules<Ops extends Partial<OpAttributes>> = {
  readonly [K in keyof Ops & OpType]: ScaleRule<K>;
};
