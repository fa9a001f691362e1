import { concat, pad, reshape, slice, transpose } from './builder/movement.js';
import type { Tensor } from './graph.js';
import type { Window } from './ops.js';

/**
 * All elements that the taps of a window meet: `[channels · taps, batch · positions]`, taps and positions row-major. As
 * PyTorch's `unfold`, with the batch behind the channels.
 *
 * @param x - `[batch, channels, ...space]`.
 * @param kernel - Taps along each spatial axis.
 * @param space - Positions of the window along each spatial axis.
 */
export function columns(
  x: Tensor,
  kernel: readonly number[],
  space: readonly number[],
  { strides, pads, dilations }: Window,
): Tensor {
  const rank = kernel.length;
  const [batch, channels] = x.shape;
  const padded = pad(x, [0, 0, ...pads.slice(0, rank), 0, 0, ...pads.slice(rank)]);
  const byChannel = transpose(padded, [1, 0, ...kernel.map((_, axis) => axis + 2)]);
  const positions = space.reduce((product, length) => product * length, batch);
  const met = tapsOf(kernel).map((tap) => {
    const ranges = tap.map((index, axis) => {
      const start = index * dilations[axis];
      return { axis: axis + 2, start, end: start + (space[axis] - 1) * strides[axis] + 1, step: strides[axis] };
    });
    return reshape(slice(byChannel, ranges), [channels, 1, positions]);
  });
  return reshape(concat(met, 1), [channels * met.length, positions]);
}

/** The positions in a kernel, row-major. */
function tapsOf(kernel: readonly number[]): number[][] {
  return kernel.reduce<number[][]>(
    (taps, length) => taps.flatMap((tap) => Array.from({ length }, (_, index) => [...tap, index])),
    [[]],
  );
}
