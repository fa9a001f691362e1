import { add, cast, concat, type Graph, gather, mul, split, type Tensor } from '../graph/index.js';

/** Angles that a token's position turns pairs of elements by. */
export interface RotaryFrequencies {
  /** Radians a position of each pair `(i, i + d / 2)`, d / 2 of them. */
  readonly frequencies: Float32Array;
  /** Factor of the turned pair; 1 keeps its length. */
  readonly factor: number;
}

/** Cosines and signed sines of all angles, `[positions, d]` each: constants of a graph. */
export interface RotaryTables {
  /** `cos` of each pair's angle, twice. */
  readonly cos: Tensor;
  /** `−sin`, then `sin`. */
  readonly sin: Tensor;
}

/**
 * The tables of positions 0, 1, …; computed once for a graph, whatever number of layers uses them. Every step is rounded to
 * float32, as transformers computes them: at position 8,000 that is 2e-4 of a radian.
 */
export function rotaryTables(
  graph: Graph,
  { frequencies, factor }: RotaryFrequencies,
  positions: number,
): RotaryTables {
  const half = frequencies.length;
  const [cos, sin] = [new Float32Array(positions * 2 * half), new Float32Array(positions * 2 * half)];
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(position * frequencies[i]);
      const at = position * 2 * half + i;
      cos[at] = cos[at + half] = Math.fround(Math.cos(angle)) * factor;
      sin[at + half] = Math.fround(Math.sin(angle)) * factor;
      sin[at] = -sin[at + half];
    }
  }
  const shape = [positions, 2 * half];
  return { cos: graph.constant(cos, shape), sin: graph.constant(sin, shape) };
}

/** Their rows at some positions, int64 `[tokens]`. */
export function rotaryRows({ cos, sin }: RotaryTables, positions: Tensor): RotaryTables {
  return { cos: gather(cos, positions), sin: gather(sin, positions) };
}

/**
 * Rotary position embedding: turns each pair of elements i and i + d / 2 by its position's angle, so that the product of a
 * query and a key depends on how far apart they are, not on where.
 *
 * @param x - `[..., tokens, d]`.
 * @param tables - `[tokens, d]`.
 * @see Su et al., "RoFormer", 2021; the halves as in transformers' `apply_rotary_pos_emb`.
 */
export function rotate(x: Tensor, { cos, sin }: RotaryTables): Tensor {
  const half = x.shape[x.rank - 1] / 2;
  const [first, second] = split(x, [half, half], -1);
  return add(mul(x, cast(cos, x.dtype)), mul(concat([second, first], -1), cast(sin, x.dtype)));
}
