import {
  concat,
  expand,
  flip,
  gatherElements,
  pad,
  reshape,
  scatterElements,
  slice,
  split,
  transpose,
  zerosLike,
} from '../builder/index.js';
import { sizeOf } from '../dtype.js';
import type { Tensor } from '../graph.js';
import type { MovementOps } from '../ops.js';
import type { GradientRules } from './rule.js';

/** Puts zeros around the elements of an axis: element i goes to `start + i·step` of an axis of the given length. */
function spreadAxis(g: Tensor, axis: number, start: number, step: number, length: number): Tensor {
  const count = g.shape[axis];
  if (step < 0) return spreadAxis(flip(g, [axis]), axis, start + (count - 1) * step, -step, length);
  let spread = g;
  if (step > 1 && count > 0) {
    const before = g.shape.slice(0, axis);
    const after = g.shape.slice(axis + 1);
    const pads = [...before, 0, 0, ...after.map(() => 0)].map(() => 0);
    const behind = [...pads.keys()].map((index) => (index === axis + 1 ? step - 1 : 0));
    const apart = pad(reshape(g, [...before, count, 1, ...after]), [...pads, ...behind]);
    spread = slice(reshape(apart, [...before, count * step, ...after]), [{ axis, end: (count - 1) * step + 1 }]);
  }
  const border = (size: number) => g.shape.map((_, index) => (index === axis ? size : 0));
  return pad(spread, [...border(start), ...border(length - start - spread.shape[axis])]);
}

export const movementRules: GradientRules<MovementOps> = {
  Transpose: ({ attributes: { perm } }, [g]) => [
    transpose(
      g,
      perm.map((_, axis) => perm.indexOf(axis)),
    ),
  ],
  Reshape: ({ inputs: [x] }, [g]) => [reshape(g, x.shape)],
  Expand: (_node, [g]) => [g],
  Slice: ({ inputs: [x], outputs: [y], attributes: { starts, axes, steps } }, [g]) =>
    y.size === 0
      ? [zerosLike(x)]
      : [axes.reduce((spread, axis, i) => spreadAxis(spread, axis, starts[i], steps[i], x.shape[axis]), g)],
  Pad: ({ inputs: [x], attributes: { pads } }, [g]) => [
    slice(
      g,
      x.shape.map((length, axis) => ({ axis, start: pads[axis], end: pads[axis] + length })),
    ),
  ],
  Concat: ({ inputs, attributes: { axis } }, [g]) =>
    split(
      g,
      inputs.map((input) => input.shape[axis]),
      axis,
    ),
  Split: ({ outputs, attributes: { axis } }, gradients) => [
    concat(
      outputs.map((output, index) => gradients[index] ?? zerosLike(output)),
      axis,
    ),
  ],
  /** Scatter-add of rows. An embedding table's gradient is better taken with respect to the gathered rows. */
  Gather: ({ inputs: [data, indices], attributes: { axis } }, [g]) => {
    const before = sizeOf(data.shape.slice(0, axis));
    const after = sizeOf(data.shape.slice(axis + 1));
    const rows = [before, indices.size, after];
    const zeros = zerosLike(reshape(data, [before, data.shape[axis], after]));
    const target = expand(reshape(indices, [1, indices.size, 1]), rows);
    const scattered = scatterElements(zeros, target, reshape(g, rows), { axis: 1, reduction: 'add' });
    return [reshape(scattered, data.shape)];
  },
  GatherElements: ({ inputs: [data, indices], attributes: { axis } }, [g]) => [
    scatterElements(zerosLike(data), indices, g, { axis, reduction: 'add' }),
  ],
  ScatterElements: ({ inputs: [, indices, updates], attributes: { axis, reduction } }, [g]) => [
    reduction === 'add' ? g : scatterElements(g, indices, zerosLike(updates), { axis }),
    undefined,
    gatherElements(g, indices, axis),
  ],
};
