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
import { windowCounts } from '../builder/window.js';
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

/** `[batch, channels, ...space]` as `[channels, ...space, batch]`: what a tap meets are then long blocks of memory. */
function batchLast(x: Tensor): Tensor {
  const [batch, ...rest] = x.shape;
  return reshape(matrixTranspose(reshape(x, [batch, sizeOf(rest)])), [...rest, batch]);
}

/** The positions in a kernel, row-major. */
function tapsOf(kernel: Shape): number[][] {
  return kernel.reduce<number[][]>(
    (taps, length) => taps.flatMap((tap) => Array.from({ length }, (_, index) => [...tap, index])),
    [[]],
  );
}

/**
 * Gradient of an ungrouped convolution's kernel, `[out, in, ...kernel]`: for each tap the product of the output gradient with
 * the elements of the input that the tap meets. Against the convolution of {@link groupedKernelGradient}: 64 channels, 3×3 on
 * 16×16, batch 32, two threads: 2.7 ms and not 7.9. With the batch in front, the blocks are short rows of an image and cutting them out
 * takes a quarter longer (128 channels on 16×16, batch 32, two threads: 9.7 ms and not 8.0).
 */
function convKernelGradient(x: Tensor, g: Tensor, shape: Shape, window: ConvWindow): Tensor {
  if (window.group > 1) return groupedKernelGradient(x, g, shape, window);
  const { strides, pads, dilations } = window;
  const [out, channels, ...kernel] = shape;
  const [, , ...space] = g.shape;
  const rank = kernel.length;
  if (sizeOf(kernel) === 1 && strides.every((stride) => stride === 1) && pads.every((count) => count === 0)) {
    const [ofImages, ofGradient] = [x, g].map((tensor) => {
      const byImage = reshape(tensor, [...tensor.shape.slice(0, 2), sizeOf(space)]);
      return reshape(transpose(byImage, [1, 0, 2]), [tensor.shape[1], -1]);
    });
    return reshape(gemm(ofGradient, ofImages, undefined, { transB: true }), shape);
  }
  const padded = pad(batchLast(x), [0, ...pads.slice(0, rank), 0, 0, ...pads.slice(rank), 0]);
  const met = tapsOf(kernel).map((tap) => {
    const ranges = tap.map((index, axis) => {
      const start = index * dilations[axis];
      return { axis: axis + 1, start, end: start + (space[axis] - 1) * strides[axis] + 1, step: strides[axis] };
    });
    return reshape(slice(padded, ranges), [channels, -1]);
  });
  const ofOutput = reshape(batchLast(g), [out, -1]);
  // A product with few rows is slow: better one with all taps (5×5 of 1 channel, 28×28, batch 64: 0.3 ms and not 1.7).
  if (channels < 16) {
    const product = gemm(ofOutput, concat(met, 0), undefined, { transB: true });
    return reshape(matrixTranspose(reshape(product, [out, met.length, channels])), shape);
  }
  const products = met.map((elements) => gemm(ofOutput, elements, undefined, { transB: true }));
  // [taps, out · in] to [out · in, taps] as a product with the identity: a transpose with so short rows is slow in ONNX
  // Runtime (512×512×3×3: 5.5 ms more).
  const count = met.length;
  const identity = Float32Array.from({ length: count * count }, (_, i) => Number(i % (count + 1) === 0));
  const byTap = reshape(concat(products, 0), [count, out * channels]);
  return reshape(gemm(byTap, x.graph.constant(identity, [count, count], x.dtype), undefined, { transA: true }), shape);
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
      windowCounts(x.shape, space, attributes).map((count) => 1 / count),
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
