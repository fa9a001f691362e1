import {
  concat,
  conv,
  convTranspose,
  expand,
  gemm,
  matMul,
  matrixTranspose,
  mul,
  pad,
  reduceSum,
  reshape,
  scatterElements,
  slice,
  transpose,
  zerosLike,
} from '../builder/index.js';
import { selectTaps } from '../builder/taps.js';
import { columns } from '../columns.js';
import { type Shape, sizeOf } from '../dtype.js';
import type { Tensor } from '../graph.js';
import type { MatrixOps, Window } from '../ops.js';
import type { GradientRules } from './rule.js';

type ConvWindow = Window & { group: number };

/**
 * Whether the transposed convolution, which any stride allows, also is the faster form with stride 1. It is where the
 * other form, a convolution with the flipped kernel, computes much padding (5×5 on 12×12, 16 channels, batch 64: 1.6 ms
 * against 0.5 on one thread) or a thin matrix product (3 channels from 64, 7×7 on 56×56: 58 ms against 13). Elsewhere it
 * is slower: 32 channels, 3×3 on 28×28, two threads: 3.5 ms against 2.1; by groups of one channel 4.8 against 1.8.
 */
function prefersTransposed(g: Tensor, [, channels, ...space]: Shape, group: number): boolean {
  const [, out, ...outSpace] = g.shape;
  const padded = sizeOf(space) / sizeOf(outSpace);
  return group === 1 && (padded >= 1.5 || (channels <= 8 && 4 * channels <= out));
}

/** Gradient of a convolution's input, `[batch, in, ...space]`. */
function convInputGradient(
  g: Tensor,
  w: Tensor,
  shape: Shape,
  { strides, pads, dilations, group }: ConvWindow,
): Tensor {
  const rank = shape.length - 2;
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  const extent = axes.map((axis) => dilations[axis] * (w.shape[axis + 2] - 1) + 1);
  const padding = [...pads.keys()].map((i) => extent[i % rank] - 1 - pads[i]);
  const flippable = strides.every((stride) => stride === 1) && padding.every((count) => count >= 0);
  if (flippable && !prefersTransposed(g, shape, group)) {
    const [out, inPerGroup, ...kernel] = w.shape;
    const flipped = selectTaps(w, kernel, [...Array(sizeOf(kernel)).keys()].reverse());
    const swapped =
      group === 1
        ? transpose(flipped, [1, 0, ...axes.map((axis) => axis + 2)])
        : reshape(
            transpose(reshape(flipped, [group, out / group, inPerGroup, ...kernel]), [
              0,
              2,
              1,
              ...axes.map((axis) => axis + 3),
            ]),
            [group * inPerGroup, out / group, ...kernel],
          );
    return conv(g, swapped, undefined, { padding, dilation: dilations, groups: group });
  }
  const outputPadding = axes.map((axis) => {
    const covered = (g.shape[axis + 2] - 1) * strides[axis] + extent[axis] - pads[axis] - pads[axis + rank];
    return shape[axis + 2] - covered;
  });
  return convTranspose(g, w, { stride: strides, padding: pads, dilation: dilations, groups: group, outputPadding });
}

/** The elements that one tap of a window meets along an axis, one for each of the window's `count` positions. */
function metByTap(x: Tensor, axis: number, tap: number, count: number, stride: number, dilation: number): Tensor {
  const start = tap * dilation;
  return slice(x, [{ axis, start, end: start + (count - 1) * stride + 1, step: stride }]);
}

/**
 * Whether one product with all taps side by side, which gives the kernel in its own order, is faster than one for each
 * tap, whose results must be transposed. The former writes the input once for each tap, the latter moves the kernel.
 * Batch 32, one thread: 512 channels, 3×3 on 4×4: 22 ms for 43; 256 channels on 8×8: 30 for 35; 3 channels on 32×32: 1.2
 * for 2.1; but 128 channels on 16×16: 34 for 24; 64 channels on 8×8: 1.8 for 1.5.
 */
function prefersColumns({ shape: [batch, , ...space] }: Tensor, [out, channels, ...kernel]: Shape): boolean {
  return 8 * out >= batch * sizeOf(space) || channels * sizeOf(kernel) < 32;
}

/**
 * Gradient of an ungrouped convolution's kernel, `[out, in, ...kernel]`, as matrix products: each tap's elements of the
 * input times the output gradient. Against the convolution of {@link groupedKernelGradient}: 64 channels, 3×3 on 16×16,
 * batch 32: 2.6 ms and not 6.5; 1 to 8 channels, 5×5 on 28×28, batch 64: 0.36 and not 0.56.
 */
function convKernelGradient(x: Tensor, g: Tensor, shape: Shape, window: ConvWindow): Tensor {
  if (window.group > 1) return groupedKernelGradient(x, g, shape, window);
  const { strides, pads, dilations } = window;
  const [out, channels, ...kernel] = shape;
  const [, , ...space] = g.shape;
  const rank = kernel.length;
  if (prefersColumns(g, shape)) {
    const byOutput = reshape(transpose(g, [1, 0, ...kernel.map((_, axis) => axis + 2)]), [out, -1]);
    return reshape(gemm(byOutput, columns(x, kernel, space, window), undefined, { transB: true }), shape);
  }
  const padded = pad(x, [0, 0, ...pads.slice(0, rank), 0, 0, ...pads.slice(rank)]);
  // [in, first spatial axis, batch, ...others]: what a tap of the first axis meets is one block of memory for a channel.
  const order = [1, 2, 0, ...kernel.map((_, axis) => axis + 2).slice(1)];
  let blocksOfTaps = transpose(padded, order);
  const taps = (axis: number, from: Tensor, at: number) =>
    Array.from({ length: kernel[axis] }, (_, tap) =>
      metByTap(from, at, tap, space[axis], strides[axis], dilations[axis]),
    );
  for (let axis = rank - 1; axis > 0; axis--) blocksOfTaps = concat(taps(axis, blocksOfTaps, axis + 2), 0);
  const blocks = taps(0, blocksOfTaps, 1);
  // A product with few rows is slow: better one with all taps (5 rows five times 0.45 ms, 25 rows once 0.36).
  const factors = blocksOfTaps.shape[0] < 16 ? [concat(blocks, 0)] : blocks;
  const flat = (tensor: Tensor) => reshape(tensor, [tensor.shape[0], -1]);
  const byOutput = flat(transpose(g, order));
  const products = factors.map((factor) => gemm(flat(factor), byOutput, undefined, { transB: true }));
  // [taps, in, out] to [out, in, taps] in two steps, the second a product with the identity: a transpose of all at once is
  // slow in ONNX Runtime, which would make one of two (512×512×3×3: 46 ms, and 3 in these steps).
  const count = sizeOf(kernel);
  const byTap = transpose(reshape(concat(products, 0), [count, channels, out]), [0, 2, 1]);
  const identity = Float32Array.from({ length: count * count }, (_, i) => Number(i % (count + 1) === 0));
  const ordered = x.graph.constant(identity, [count, count], x.dtype);
  return reshape(gemm(reshape(byTap, [count, out * channels]), ordered, undefined, { transA: true }), shape);
}

/**
 * Gradient of a grouped convolution's kernel, `[out, in / group, ...kernel]`, as a convolution: batch and channels change places,
 * the output gradient is the kernel, stride and dilation change places.
 */
function groupedKernelGradient(
  input: Tensor,
  g: Tensor,
  shape: Shape,
  { strides, pads: padding, dilations, group }: ConvWindow,
): Tensor {
  // Rows at the end that no window reached would give kernel taps that do not exist: they are cut off.
  const pads = [...padding];
  const rank = input.rank - 2;
  const reached = padding.slice(rank).map((behind, axis) => {
    const extent = dilations[axis] * (shape[axis + 2] - 1) + 1;
    const length = input.shape[axis + 2];
    const surplus = length + pads[axis] + behind - extent - strides[axis] * (g.shape[axis + 2] - 1);
    const fromPadding = Math.min(surplus, behind);
    pads[axis + rank] = behind - fromPadding;
    return { axis: axis + 2, end: length - (surplus - fromPadding) };
  });
  const x = slice(input, reached);
  const [batch, channels, ...space] = x.shape;
  // ONNX Runtime does not return from a convolution over no channels, which an empty batch would become.
  if (batch === 0) return expand(x.graph.scalar(0, x.dtype), shape);
  const spatial = space.map((_, axis) => axis + 2);
  const inPerGroup = channels / group;
  // [batch, group · in, ...] to [in, group · batch, ...], so that each group convolves its own channels.
  const byGroup = reshape(x, [batch, group, inPerGroup, ...space]);
  const byChannel = reshape(transpose(byGroup, [2, 1, 0, ...spatial.map((axis) => axis + 1)]), [
    inPerGroup,
    group * batch,
    ...space,
  ]);
  const kernel = transpose(g, [1, 0, ...spatial]);
  const full = conv(byChannel, kernel, undefined, {
    padding: pads,
    stride: dilations,
    dilation: strides,
    groups: group,
  });
  return transpose(full, [1, 0, ...spatial]);
}

/** The number of elements that each window of an average pool divides by, `[1, 1, ...space]`. */
function windowCounts(
  x: Tensor,
  y: Tensor,
  { kernelShape, strides, pads, dilations, countIncludePad }: MatrixOps['AveragePool'],
): Float64Array {
  const rank = kernelShape.length;
  const perAxis = kernelShape.map((kernel, axis) =>
    Array.from({ length: y.shape[axis + 2] }, (_, position) => {
      let count = 0;
      for (let tap = 0; tap < kernel; tap++) {
        const at = position * strides[axis] - pads[axis] + tap * dilations[axis];
        const [low, high] = countIncludePad
          ? [-pads[axis], x.shape[axis + 2] + pads[axis + rank]]
          : [0, x.shape[axis + 2]];
        if (at >= low && at < high) count++;
      }
      return count;
    }),
  );
  return Float64Array.from(perAxis.reduce((counts, axis) => counts.flatMap((a) => axis.map((b) => a * b)), [1]));
}

export const matrixRules: GradientRules<MatrixOps> = {
  /** dA = g·Bᵀ, dB = Aᵀ·g; a plain matrix B collects all batches in one product. */
  MatMul: ({ inputs: [a, b] }, [g]) => {
    if (b.rank > 2 || a.rank === 2) return [matMul(g, matrixTranspose(b)), matMul(matrixTranspose(a), g)];
    const [k, n] = b.shape;
    const rows = sizeOf(a.shape.slice(0, -1));
    return [
      matMul(g, matrixTranspose(b)),
      gemm(reshape(a, [rows, k]), reshape(g, [rows, n]), undefined, { transA: true }),
    ];
  },
  Gemm: ({ inputs: [a, b, c], attributes: { alpha, beta, transA, transB } }, [g]) => [
    transA
      ? gemm(b, g, undefined, { alpha, transA: transB, transB: true })
      : gemm(g, b, undefined, { alpha, transB: !transB }),
    transB
      ? gemm(g, a, undefined, { alpha, transA: true, transB: transA })
      : gemm(a, g, undefined, { alpha, transA: !transA }),
    c && mul(g, beta),
  ],
  Conv: ({ inputs: [x, w, bias], attributes }, [g]) => [
    convInputGradient(g, w, x.shape, attributes),
    convKernelGradient(x, g, w.shape, attributes),
    bias && reduceSum(g, { axes: x.shape.map((_, axis) => axis).filter((axis) => axis !== 1) }),
  ],
  /** The transpose of Conv: its gradients are Conv's with input and output in each other's place. */
  ConvTranspose: ({ inputs: [x, w], attributes: { strides, pads, dilations, group, ...rest } }, [g]) => [
    slice(
      conv(g, w, undefined, { stride: strides, padding: pads, dilation: dilations, groups: group }),
      rest.outputPadding.map((_, axis) => ({ axis: axis + 2, end: x.shape[axis + 2] })),
    ),
    convKernelGradient(g, x, w.shape, { strides, pads, dilations, group }),
  ],
  /** The gradient goes to the position that the pool reports, an index into the flattened input. */
  MaxPool: ({ inputs: [x], outputs: [y, indices] }, [g]) => {
    const zeros = zerosLike(reshape(x, [x.size]));
    const flat = scatterElements(zeros, reshape(indices, [y.size]), reshape(g, [y.size]), {
      axis: 0,
      reduction: 'add',
    });
    return [reshape(flat, x.shape)];
  },
  /** Every element of a window gets the window's gradient over its count: a transposed convolution with ones. */
  AveragePool: ({ inputs: [x], outputs: [y], attributes }, [g]) => {
    const { kernelShape, strides, pads, dilations } = attributes;
    const rank = kernelShape.length;
    const space = y.shape.slice(2);
    const share = x.graph.constant(
      windowCounts(x, y, attributes).map((count) => 1 / count),
      [1, 1, ...space],
      x.dtype,
    );
    const images = x.shape[0] * x.shape[1];
    const ones = expand(x.graph.constant([1], [1, 1, ...kernelShape.map(() => 1)], x.dtype), [1, 1, ...kernelShape]);
    const ends = space.map((length, axis) => {
      const covered = (length - 1) * strides[axis] + dilations[axis] * (kernelShape[axis] - 1) + 1;
      return covered - pads[axis] - x.shape[axis + 2];
    });
    const spread = convTranspose(reshape(mul(g, share), [images, 1, ...space]), ones, {
      stride: strides,
      dilation: dilations,
      padding: [...pads.slice(0, rank), ...ends.map((end) => Math.max(end, 0))],
      outputPadding: ends.map((end) => Math.max(-end, 0)),
    });
    return [reshape(spread, x.shape)];
  },
};
