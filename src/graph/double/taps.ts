import { add, concat, div, expand, matMul, pad, reduceSum, reshape, slice, unsqueeze } from '../builder/index.js';
import { windowCounts } from '../builder/window.js';
import { type Shape, sizeOf } from '../dtype.js';
import { gradients } from '../gradients/index.js';
import type { Tensor } from '../graph.js';
import type { MatrixOps, Window } from '../ops.js';

/** What each tap of a kernel meets at each position of the window: `[batch, channels, taps, ...space]`. */
function metByTaps(x: Tensor, kernel: Shape, space: Shape, { strides, pads, dilations }: Window): Tensor {
  const rank = kernel.length;
  const begins = pads.slice(0, rank);
  // A last window in ceil mode may reach beyond the padding.
  const ends = kernel.map((taps, axis) => {
    const reach = (taps - 1) * dilations[axis] + (space[axis] - 1) * strides[axis] + 1;
    return Math.max(pads[axis + rank], reach - x.shape[axis + 2] - begins[axis]);
  });
  const padded = pad(x, [0, 0, ...begins, 0, 0, ...ends]);
  const taps = kernel.reduce<number[][]>(
    (all, length) => all.flatMap((tap) => Array.from({ length }, (_, index) => [...tap, index])),
    [[]],
  );
  const met = taps.map((tap) => {
    const ranges = tap.map((index, axis) => {
      const start = index * dilations[axis];
      return { axis: axis + 2, start, end: start + (space[axis] - 1) * strides[axis] + 1, step: strides[axis] };
    });
    return unsqueeze(slice(padded, ranges), 2);
  });
  return concat(met, 2);
}

/** A convolution as one product of each group's kernels `[out / group, in / group · taps]` with what they meet. */
export function convByTaps(
  x: Tensor,
  w: Tensor,
  bias: Tensor | undefined,
  { group, space, ...window }: MatrixOps['Conv'] & { space: Shape },
): Tensor {
  const batch = x.shape[0];
  const [out, inPerGroup, ...kernel] = w.shape;
  const inner = inPerGroup * sizeOf(kernel);
  const met = reshape(metByTaps(x, kernel, space, window), [batch, group, inner, sizeOf(space)]);
  const product = matMul(reshape(w, [1, group, out / group, inner]), met);
  const y = reshape(product, [batch, out, ...space]);
  return bias ? add(y, reshape(bias, [out, ...space.map(() => 1)])) : y;
}

/** A transposed convolution, the gradient of {@link convByTaps} by its input: that is linear, so the input has no values. */
export function convTransposeByTaps(
  x: Tensor,
  w: Tensor,
  { strides, pads, dilations, group, shape }: MatrixOps['ConvTranspose'] & { shape: Shape },
): Tensor {
  const input = expand(
    x.graph.constant(
      [0],
      shape.map(() => 1),
      x.dtype,
    ),
    shape,
  );
  const space = x.shape.slice(2);
  const [y] = gradients(convByTaps(input, w, undefined, { strides, pads, dilations, group, space }), [input], x);
  return y ?? input;
}

/** An average pool as the sum of what the taps of its window meet over their count. */
export function averagePoolByTaps(x: Tensor, attributes: MatrixOps['AveragePool'] & { space: Shape }): Tensor {
  const { space, ...window } = attributes;
  const sums = reduceSum(metByTaps(x, window.kernelShape, space, window), { axes: [2] });
  const counts = windowCounts(x.shape, space, window);
  return div(sums, x.graph.constant(counts, [1, 1, ...space], x.dtype));
}
