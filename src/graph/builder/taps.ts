import { type Shape, sizeOf } from '../dtype.js';
import type { Tensor } from '../graph.js';
import { matMul } from './matrix.js';
import { reshape } from './movement.js';

/**
 * A kernel `[out, in, ...space]` made of the taps of another, which are numbered row by row; as a product with a selection
 * matrix, because slices and their gradient, padding, are slow along short axes (512×512×3×3 reversed: 1.3 ms instead of 14).
 */
export function selectTaps(w: Tensor, space: Shape, picks: readonly number[]): Tensor {
  const taps = sizeOf(w.shape.slice(2));
  if (picks.length === taps && picks.every((tap, position) => tap === position)) return w;
  const selection = Float32Array.from({ length: taps * picks.length }, (_, i) =>
    Number(picks[i % picks.length] === Math.floor(i / picks.length)),
  );
  const flat = reshape(w, [w.size / taps, taps]);
  const selected = matMul(flat, w.graph.constant(selection, [taps, picks.length], w.dtype));
  return reshape(selected, [...w.shape.slice(0, 2), ...space]);
}
