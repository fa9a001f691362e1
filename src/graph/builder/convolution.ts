import { sizeOf } from '../dtype.js';
import type { Tensor } from '../graph.js';
import type { Window } from '../ops.js';
import { add } from './elementwise.js';
import { gemm, matMul } from './matrix.js';
import { reshape, transpose } from './movement.js';
import { selectTaps } from './taps.js';
import { type ConvOptions, perAxis, window } from './window.js';

/**
 * Cross-correlation, as PyTorch's `conv1d`, `conv2d`, `conv3d`. The smallest maps are computed as one matrix product.
 *
 * @param x - `[batch, in, ...space]`.
 * @param w - `[out, in / groups, ...kernel]`.
 * @param bias - `[out]`.
 * @returns `[batch, out, ...space']`.
 */
export function conv(x: Tensor, w: Tensor, bias?: Tensor, options: ConvOptions = {}): Tensor {
  const attributes = { ...window(x.rank - 2, options), group: options.groups ?? 1 };
  // Made in any case, since it checks shapes; a node that nothing reads costs nothing.
  const [plain] = x.graph.apply('Conv', bias ? [x, w, bias] : [x, w], attributes);
  if (attributes.group > 1 || !isTiny(x, plain)) return plain;
  const product = convAsProduct(x, w, plain.shape.slice(2), attributes);
  return bias ? add(product, reshape(bias, [bias.size, ...plain.shape.slice(2).map(() => 1)])) : product;
}

/**
 * Whether {@link convAsProduct} is the faster form. Forward, gradients of input and kernel, milliseconds, batch 32, one
 * thread: 256 channels, 3×3 on 2×2: 0.9, 1.5, 1.3 for 4.6, 4.9, 1.9; 512 channels on 1×1: 0.6, 0.6, 1.9 for 8.2, 7.8, 7.1.
 */
function isTiny(x: Tensor, y: Tensor): boolean {
  const [, channels, ...space] = x.shape;
  return y.size > 0 && sizeOf(y.shape.slice(2)) <= 4 && sizeOf(space) <= 25 && channels >= 16;
}

/**
 * The convolution as one product of the kernel `[out, in · taps]` with all that its taps meet. What they meet is a product
 * as well, with a matrix of 0 and 1 `[space, taps · space']`, so that no gradient needs to cut or pad. Taps that meet
 * nothing but padding are left out: on a map of 1×1 all but one of 3×3.
 */
function convAsProduct(x: Tensor, w: Tensor, space: readonly number[], attributes: Window): Tensor {
  const { graph, dtype } = x;
  const [batch, channels, ...inputSpace] = x.shape;
  const [out, , ...kernel] = w.shape;
  const positions = sizeOf(space);
  const meetings = meetingsOf(inputSpace, kernel, space, attributes);
  const used = meetings.flatMap((met, tap) => (met.some((at) => at >= 0) ? [tap] : []));
  // Windows that meet padding only: one tap is kept, for a product that is 0.
  const taps = used.length > 0 ? used : [0];
  const meets = new Float64Array(sizeOf(inputSpace) * taps.length * positions);
  taps.forEach((tap, index) => {
    meetings[tap].forEach((at, position) => {
      if (at >= 0) meets[(at * taps.length + index) * positions + position] = 1;
    });
  });
  const byPosition = reshape(x, [batch * channels, -1]);
  const met = matMul(byPosition, graph.constant(meets, [sizeOf(inputSpace), taps.length * positions], dtype));
  const columns = transpose(reshape(met, [batch, channels, taps.length, positions]), [1, 2, 0, 3]);
  const kernels = reshape(selectTaps(w, [taps.length], taps), [out, -1]);
  const product = gemm(kernels, reshape(columns, [channels * taps.length, batch * positions]));
  return transpose(reshape(product, [out, batch, ...space]), [1, 0, ...space.map((_, axis) => axis + 2)]);
}

/** For each tap of a kernel and each position of the window, row-major: the input's position that they meet; −1: padding. */
function meetingsOf(
  inputSpace: readonly number[],
  kernel: readonly number[],
  space: readonly number[],
  { strides, pads, dilations }: Window,
): number[][] {
  return kernel.reduce<number[][]>(
    (meetings, length, axis) =>
      meetings.flatMap((before) =>
        Array.from({ length }, (_, tap) =>
          before.flatMap((at) =>
            Array.from({ length: space[axis] }, (_, position) => {
              const here = position * strides[axis] - pads[axis] + tap * dilations[axis];
              return at < 0 || here < 0 || here >= inputSpace[axis] ? -1 : at * inputSpace[axis] + here;
            }),
          ),
        ),
      ),
    [[0]],
  );
}

/**
 * The transpose of {@link conv} as a linear map, as PyTorch's `conv_transpose2d`.
 *
 * @param x - `[batch, in, ...space]`.
 * @param w - `[in, out / groups, ...kernel]`.
 */
export function convTranspose(
  x: Tensor,
  w: Tensor,
  { outputPadding = 0, groups = 1, ...options }: ConvOptions & { outputPadding?: number | readonly number[] } = {},
): Tensor {
  const rank = x.rank - 2;
  const attributes = { ...window(rank, options), group: groups, outputPadding: perAxis(outputPadding, rank) };
  return x.graph.apply('ConvTranspose', [x, w], attributes)[0];
}
