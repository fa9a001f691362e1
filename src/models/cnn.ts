import { z } from 'zod';
import { maxPool, relu, reshape } from '../graph/index.js';
import { conv2d, linear } from '../nn/index.js';
import { type Architecture, imageInput } from './architecture.js';
import { imageShape } from './image-input.js';
import { labelKeys } from './labels.js';

const keys = z.strictObject({
  architecture: z.literal('cnn').default('cnn').describe('name of the architecture'),
  num_channels: z.int().min(1).default(1).describe('channels of the input image'),
  image_size: z.int().min(16).max(1024).default(28).describe('height and width of the input image'),
  num_labels: z.int().min(2).default(10).describe('number of classes'),
  channels: z.array(z.int().min(1)).length(2).default([8, 16]).describe('channels of the two convolutions'),
  kernel_size: z.int().min(1).max(7).default(5).describe('height and width of both kernels'),
  ...labelKeys,
  hidden_sizes: z
    .array(z.int().min(1))
    .length(3)
    .default([120, 84, 84])
    .describe('widths between the four linear layers'),
});

/** Height and width after both convolutions and pools. */
function mapSize(imageSize: number, kernel: number): number {
  const once = (size: number) => Math.floor((size - kernel + 1) / 2);
  return once(once(imageSize));
}

const config = keys.superRefine(({ image_size, kernel_size }, context) => {
  if (mapSize(image_size, kernel_size) >= 1) return;
  const message = `expected a kernel that leaves something of image_size ${image_size}, twice with a pool behind it, found ${kernel_size}`;
  context.addIssue({ code: 'custom', path: ['kernel_size'], message });
});

/** Configuration of the {@link cnn}. */
export type CnnConfig = z.infer<typeof config>;

/**
 * Two convolutions, each with ReLU and 2×2 max pool, then four linear layers; no normalization, so no scale of a weight is
 * undone by it (the shape of the paper's Appendix C).
 */
export const cnn: Architecture<CnnConfig> = {
  name: 'cnn',
  description: 'two convolutions and four linear layers without normalization (paper, Appendix C)',
  config,
  inputs: ({ num_channels, image_size }) => imageInput([num_channels, image_size, image_size]),
  head: ({ num_labels }) => ({ kind: 'classifier', size: num_labels }),
  fit(example, { labels }) {
    const shape = imageShape('cnn', example);
    return { num_channels: shape[0], image_size: shape[1], num_labels: labels.length };
  },
  forward(scope, { x }, { channels, kernel_size, hidden_sizes, num_labels }) {
    // ReLU after the pool gives the same values and gradients as before it, from a quarter of the elements.
    let h = scope.hiddenLayer(relu(maxPool(conv2d(scope.child('conv1'), x, channels[0], kernel_size), { kernel: 2 })));
    h = relu(maxPool(conv2d(scope.child('conv2'), h, channels[1], kernel_size), { kernel: 2 }));
    h = scope.hiddenLayer(reshape(h, [x.shape[0], -1]));
    hidden_sizes.forEach((size, index) => {
      h = scope.hiddenLayer(relu(linear(scope.child(`fc${index + 1}`), h, size)));
    });
    return { logits: linear(scope.child(`fc${hidden_sizes.length + 1}`), h, num_labels) };
  },
};
