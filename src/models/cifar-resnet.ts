import { z } from 'zod';
import { add, globalAveragePool, pad, relu, reshape, slice, type Tensor } from '../graph/index.js';
import { batchNorm, conv2d, kaimingNormal, linear, type Scope } from '../nn/index.js';
import { type Architecture, imageInput } from './architecture.js';
import { imageShape } from './image-input.js';
import { labelKeys } from './labels.js';

const configOf = (name: string) =>
  z.strictObject({
    architecture: z.literal(name).default(name).describe('name of the architecture'),
    num_channels: z.int().min(1).default(3).describe('channels of the input image'),
    image_size: z.int().min(8).max(1024).default(32).describe('height and width of the input image'),
    num_labels: z.int().min(2).default(10).describe('number of classes'),
    ...labelKeys,
  });

/** Configuration of a CIFAR residual network. */
export type CifarResNetConfig = z.infer<ReturnType<typeof configOf>>;

function convNorm(scope: Scope, x: Tensor, n: number, out: number, stride = 1): Tensor {
  const weightInitializer = kaimingNormal('in');
  const h = conv2d(scope.child(`conv${n}`), x, out, 3, { bias: false, stride, padding: 1, weightInitializer });
  return batchNorm(scope.child(`bn${n}`), h);
}

/** Shortcut "option A": every second row and column, and a quarter of the new channels as zeros on either side. */
function shortcut(x: Tensor, channels: number, stride: number): Tensor {
  if (stride === 1) return x;
  const thinned = slice(
    x,
    [2, 3].map((axis) => ({ axis, step: stride })),
  );
  return pad(thinned, [0, channels / 4, 0, 0, 0, channels / 4, 0, 0]);
}

/**
 * The CIFAR-10 residual network of He et al. 2015, section 4.2: three stages of 16, 32 and 64 channels, shortcuts without
 * parameters; names and initial weights as in the published checkpoints (akamaster/pytorch_resnet_cifar10).
 */
function cifarResnet(depth: number): Architecture<CifarResNetConfig> {
  const name = `resnet${depth}`;
  return {
    name,
    description: `residual network for CIFAR-10, ${depth} layers, shortcuts without parameters`,
    config: configOf(name),
    inputs: ({ num_channels, image_size }) => imageInput([num_channels, image_size, image_size]),
    head: ({ num_labels }) => ({ kind: 'classifier', size: num_labels }),
    fit(example, { labels }) {
      const shape = imageShape(name, example);
      return { num_channels: shape[0], image_size: shape[1], num_labels: labels.length };
    },
    forward(scope, { x }, { num_labels }) {
      let h = relu(convNorm(scope, x, 1, 16));
      [16, 32, 64].forEach((channels, stage) => {
        for (let index = 0; index < (depth - 2) / 6; index++) {
          const stride = stage > 0 && index === 0 ? 2 : 1;
          const block = scope.child(`layer${stage + 1}`).child(`${index}`);
          const inner = convNorm(block, relu(convNorm(block, h, 1, channels, stride)), 2, channels);
          h = scope.hiddenLayer(relu(add(inner, shortcut(h, channels, stride))));
        }
      });
      const weightInitializer = kaimingNormal('in');
      const pooled = reshape(globalAveragePool(h), [x.shape[0], 64]);
      return { logits: linear(scope.child('linear'), pooled, num_labels, { weightInitializer }) };
    },
  };
}

/** ResNet-20, 32, 44 and 56 for CIFAR-10. */
export const cifarResnets: readonly Architecture<CifarResNetConfig>[] = [20, 32, 44, 56].map(cifarResnet);
