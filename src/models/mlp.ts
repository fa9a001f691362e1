import { z } from 'zod';
import { relu, reshape } from '../graph/index.js';
import { linear } from '../nn/index.js';
import { type Architecture, imageInput } from './architecture.js';
import { imageShape } from './image-input.js';
import { labelKeys } from './labels.js';

const config = z.strictObject({
  architecture: z.literal('mlp').default('mlp').describe('name of the architecture'),
  input_shape: z.array(z.int().min(1)).min(1).default([1, 28, 28]).describe('shape of one example'),
  num_labels: z.int().min(2).default(10).describe('number of classes'),
  ...labelKeys,
  hidden_sizes: z.array(z.int().min(1)).default([128, 64]).describe('widths of the hidden layers'),
});

/** Configuration of the {@link mlp}. */
export type MlpConfig = z.infer<typeof config>;

/** Linear layers `fc1`, `fc2`, … with ReLU between them. */
export const mlp: Architecture<MlpConfig> = {
  name: 'mlp',
  description: 'linear layers with ReLU between them',
  config,
  inputs: ({ input_shape }) => imageInput(input_shape),
  head: ({ num_labels }) => ({ kind: 'classifier', size: num_labels }),
  fit: (example, { labels }) => ({ input_shape: imageShape('mlp', example), num_labels: labels.length }),
  forward(scope, { x }, { hidden_sizes, num_labels }) {
    let h = reshape(x, [x.shape[0], -1]);
    hidden_sizes.forEach((size, index) => {
      h = scope.hiddenLayer(relu(linear(scope.child(`fc${index + 1}`), h, size)));
    });
    return { logits: linear(scope.child(`fc${hidden_sizes.length + 1}`), h, num_labels) };
  },
};
