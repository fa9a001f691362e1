import { z } from 'zod';
import { add, globalAveragePool, maxPool, relu, reshape, type Tensor } from '../graph/index.js';
import { batchNorm, conv2d, kaimingNormal, linear, type Scope } from '../nn/index.js';
import { type Architecture, imageInput } from './architecture.js';
import { imageShape } from './image-input.js';
import { labelKeys } from './labels.js';

type Block = 'basic' | 'bottleneck';

/** How far a block's output is wider than the channels its stage is named after. */
const expansion: Readonly<Record<Block, number>> = { basic: 1, bottleneck: 4 };

const configOf = (name: string) =>
  z.strictObject({
    architecture: z.literal(name).default(name).describe('name of the architecture'),
    num_classes: z.int().min(1).default(1000).describe('number of classes'),
    in_chans: z.int().min(1).optional().describe('channels of the input image; default 3'),
    image_size: z
      .int()
      .min(8)
      .max(1024)
      .optional()
      .describe('height and width of the input image; default 224, 32 for the cifar stem'),
    stem: z
      .enum(['imagenet', 'cifar'])
      .default('imagenet')
      .describe('imagenet: 7×7 convolution by steps of 2 and a max pool; cifar: 3×3 convolution'),
    ...labelKeys,
    num_features: z.int().optional().describe("timm's width of the last stage; follows from the architecture"),
    global_pool: z.literal('avg').default('avg').describe("timm's last pool"),
    model_args: z
      .looseObject({ in_chans: z.int().min(1).optional() })
      .optional()
      .describe("timm's model arguments"),
    pretrained_cfg: z
      .looseObject({ input_size: z.tuple([z.int().min(1), z.int().min(8), z.int().min(8)]).optional() })
      .optional()
      .describe('what timm knows of the weights'),
  });

/** Configuration of a residual network: weightlock's keys, or timm's. */
export type ResNetConfig = z.infer<ReturnType<typeof configOf>>;

/** Channels, height and width of an image. */
function imageSize({ in_chans, image_size, stem, model_args, pretrained_cfg }: ResNetConfig): [number, number, number] {
  const [channels, height, width] = pretrained_cfg?.input_size ?? [];
  const size = image_size ?? (stem === 'cifar' ? 32 : 224);
  return [in_chans ?? model_args?.in_chans ?? channels ?? 3, image_size ?? height ?? size, image_size ?? width ?? size];
}

/** `conv` without bias, then batch norm, under PyTorch's names of a block's n-th convolution. */
function convNorm(scope: Scope, x: Tensor, n: number, out: number, kernel: number, stride = 1): Tensor {
  const h = conv2d(scope.child(`conv${n}`), x, out, kernel, {
    bias: false,
    stride,
    padding: (kernel - 1) / 2,
    weightInitializer: kaimingNormal('out'),
  });
  return batchNorm(scope.child(`bn${n}`), h);
}

/** Two 3×3 convolutions, or 1×1, 3×3, 1×1 around a narrow middle; the stride is on the first 3×3. The input is added. */
function residual(scope: Scope, x: Tensor, block: Block, channels: number, stride: number): Tensor {
  const out = channels * expansion[block];
  let h: Tensor;
  if (block === 'basic') {
    h = relu(convNorm(scope, x, 1, channels, 3, stride));
    h = convNorm(scope, h, 2, out, 3);
  } else {
    h = relu(convNorm(scope, x, 1, channels, 1));
    h = relu(convNorm(scope, h, 2, channels, 3, stride));
    h = convNorm(scope, h, 3, out, 1);
  }
  if (stride === 1 && x.shape[1] === out) return relu(add(h, x));
  const weightInitializer = kaimingNormal('out');
  const downsample = scope.child('downsample');
  const narrowed = conv2d(downsample.child('0'), x, out, 1, { bias: false, stride, weightInitializer });
  return relu(add(h, batchNorm(downsample.child('1'), narrowed)));
}

/**
 * A residual network (He et al. 2015) with torchvision's and timm's parameter names and torchvision's initial weights
 * (v1.5: a bottleneck's stride is on its 3×3 convolution). `config.json` is timm's where the stem is.
 */
function resnet(name: string, block: Block, depths: readonly number[]): Architecture<ResNetConfig> {
  const features = 512 * expansion[block];
  return {
    name,
    description: `residual network, ${block} blocks ${depths.join(', ')} (torchvision, timm)`,
    config: configOf(name).refine(({ num_features = features }) => num_features === features, {
      path: ['num_features'],
      error: `expected ${features}, which follows from the architecture`,
    }),
    inputs: (config) => imageInput(imageSize(config)),
    head: ({ num_classes }) => ({ kind: 'classifier', size: num_classes }),
    fit(example, { labels }) {
      const shape = imageShape(name, example);
      return { in_chans: shape[0], image_size: shape[1], num_classes: labels.length };
    },
    toFile(config) {
      if (config.stem === 'cifar') return config;
      const { num_classes, global_pool, pretrained_cfg, model_args } = config;
      const size = imageSize(config);
      return {
        architecture: name,
        num_classes,
        num_features: features,
        global_pool,
        model_args: { ...model_args, in_chans: size[0] },
        pretrained_cfg: { input_size: size, num_classes, first_conv: 'conv1', classifier: 'fc', ...pretrained_cfg },
      };
    },
    forward(scope, { x }, { stem, num_classes }) {
      let h =
        stem === 'cifar'
          ? relu(convNorm(scope, x, 1, 64, 3))
          : maxPool(relu(convNorm(scope, x, 1, 64, 7, 2)), stemPool);
      depths.forEach((depth, stage) => {
        for (let index = 0; index < depth; index++) {
          const stride = stage > 0 && index === 0 ? 2 : 1;
          const at = scope.child(`layer${stage + 1}`).child(`${index}`);
          h = scope.hiddenLayer(residual(at, h, block, 64 * 2 ** stage, stride));
        }
      });
      const pooled = reshape(globalAveragePool(h), [x.shape[0], features]);
      return { logits: linear(scope.child('fc'), pooled, num_classes) };
    },
  };
}

const stemPool = { kernel: 3, stride: 2, padding: 1 };

/** ResNet-18, 34 and 50 as in torchvision. */
export const resnets: readonly Architecture<ResNetConfig>[] = [
  resnet('resnet18', 'basic', [2, 2, 2, 2]),
  resnet('resnet34', 'basic', [3, 4, 6, 3]),
  resnet('resnet50', 'bottleneck', [3, 4, 6, 3]),
];
