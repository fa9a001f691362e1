import { z } from 'zod';
import { add, concat, expand, gelu, reshape, slice, type Tensor, transpose } from '../graph/index.js';
import { conv2d, layerNorm, linear, multiHeadAttention, normal, type Scope, zeros } from '../nn/index.js';
import { type Architecture, imageInput } from './architecture.js';
import { familyKeys } from './head.js';
import { imageShape } from './image-input.js';
import { labelKeys, maxClasses } from './labels.js';

const classes = { ViTForImageClassification: 'classifier' } as const;

/** transformers takes one number for a square, or height and width. */
const sides = (most: number) =>
  z.union([z.int().min(1).max(most), z.tuple([z.int().min(1).max(most), z.int().min(1).max(most)])], {
    error: ({ input }) =>
      `expected a whole number from 1 to ${most} or [height, width], found ${JSON.stringify(input)}`,
  });

/** Height and width of a {@link sides}. */
const pair = (value: number | readonly [number, number]): readonly [number, number] =>
  typeof value === 'number' ? [value, value] : value;

const dropout = z.number().min(0).lt(1).default(0);

const keys = z.strictObject({
  ...familyKeys('vit', classes),
  num_channels: z.int().min(1).default(3).describe('channels of the input image'),
  image_size: sides(1024).default(224).describe('height and width of the input image: a number, or both'),
  patch_size: sides(1024)
    .refine((size) => pair(size)[0] === pair(size)[1], {
      error: ({ input }) => `expected patches as high as wide, found ${JSON.stringify(input)}`,
    })
    .default(16)
    .describe('height and width of a patch'),
  hidden_size: z.int().min(1).default(768).describe('width of the residual stream'),
  num_hidden_layers: z.int().min(1).default(12).describe('number of blocks'),
  num_attention_heads: z.int().min(1).default(12).describe('attention heads; they divide the width'),
  intermediate_size: z.int().min(1).default(3072).describe('width of the hidden layer of a block'),
  hidden_act: z.enum(['gelu', 'gelu_python']).default('gelu').describe('activation, by erf under either name'),
  hidden_dropout_prob: dropout.describe('share of the residual stream that training drops'),
  attention_probs_dropout_prob: dropout.describe('share of the attention weights that training drops'),
  layer_norm_eps: z.number().positive().default(1e-12).describe('epsilon of layer norms'),
  initializer_range: z.number().positive().default(0.02).describe('deviation of first weights'),
  qkv_bias: z.boolean().default(true).describe('whether query, key and value have a bias'),
  num_labels: z.int().min(1).max(maxClasses).default(2).describe('number of classes; follows from id2label'),
  ...labelKeys,
  problem_type: z.literal('single_label_classification').optional().describe('what the classes mean: one an example'),
});

const config = keys.superRefine(({ hidden_size, num_attention_heads, patch_size, image_size }, context) => {
  const refuse = (path: keyof typeof keys.shape, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message });
  if (hidden_size % num_attention_heads !== 0) {
    refuse('num_attention_heads', `expected a divisor of hidden_size ${hidden_size}, found ${num_attention_heads}`);
  }
  const [patch, image] = [pair(patch_size)[0], Math.min(...pair(image_size))];
  if (patch > image) {
    refuse('patch_size', `expected at most image_size ${image}, found ${patch}`);
  }
});

/** Configuration of the {@link vit}: Hugging Face's keys. */
export type VitConfig = z.infer<typeof config>;

/** Attention over `[batch, tokens, width]` with its projections, under Hugging Face's names. */
function attention(scope: Scope, x: Tensor, settings: VitConfig): Tensor {
  const [width] = x.shape.slice(-1);
  const { num_attention_heads: heads, attention_probs_dropout_prob: dropout, qkv_bias: bias } = settings;
  const inner = scope.child('attention');
  const project = (name: string) => linear(inner.child(name), x, width, { ...initial(settings), bias });
  const [query, key, value] = ['query', 'key', 'value'].map(project);
  const mixed = multiHeadAttention(scope, { query, key, value }, { heads, dropout });
  const out = linear(scope.child('output').child('dense'), mixed, width, initial(settings));
  return scope.dropout(out, settings.hidden_dropout_prob);
}

function initial({ initializer_range }: VitConfig) {
  return { weightInitializer: normal(initializer_range), biasInitializer: zeros };
}

/** A pre-norm block: attention, then two linear layers with GELU; each is added to its input. */
function block(scope: Scope, x: Tensor, settings: VitConfig): Tensor {
  const { hidden_size, intermediate_size, layer_norm_eps: epsilon } = settings;
  const h = add(
    x,
    attention(scope.child('attention'), layerNorm(scope.child('layernorm_before'), x, { epsilon }), settings),
  );
  const normed = layerNorm(scope.child('layernorm_after'), h, { epsilon });
  const wide = gelu(linear(scope.child('intermediate').child('dense'), normed, intermediate_size, initial(settings)));
  const out = linear(scope.child('output').child('dense'), wide, hidden_size, initial(settings));
  return add(h, scope.dropout(out, settings.hidden_dropout_prob));
}

/** Class token and patches, each with its position: `[batch, 1 + patches, width]`. */
function embeddings(scope: Scope, x: Tensor, settings: VitConfig): Tensor {
  const { hidden_size: width, initializer_range } = settings;
  const [patch_size] = pair(settings.patch_size);
  const token = scope.parameter('cls_token', [1, 1, width], normal(initializer_range));
  const patches = Math.floor(x.shape[2] / patch_size) * Math.floor(x.shape[3] / patch_size);
  const positions = scope.parameter('position_embeddings', [1, 1 + patches, width], normal(initializer_range));
  const projection = scope.child('patch_embeddings').child('projection');
  const maps = conv2d(projection, x, width, patch_size, { stride: patch_size, ...initial(settings) });
  const sequence = transpose(reshape(maps, [x.shape[0], width, patches]), [0, 2, 1]);
  const h = add(concat([expand(token, [x.shape[0], 1, width]), sequence], 1), positions);
  return scope.dropout(h, settings.hidden_dropout_prob);
}

/** The vision transformer (Dosovitskiy et al. 2020) as Hugging Face's `ViTForImageClassification`, its names and keys. */
export const vit: Architecture<VitConfig> = {
  name: 'vit',
  description: 'vision transformer (Hugging Face ViTForImageClassification)',
  config,
  classes,
  inputs: ({ num_channels, image_size }) => imageInput([num_channels, ...pair(image_size)]),
  head: ({ num_labels }) => ({ kind: 'classifier', size: num_labels }),
  fit(example, { labels }) {
    const [num_channels, height, width] = imageShape('vit', example);
    return { num_channels, image_size: height === width ? height : [height, width], num_labels: labels.length };
  },
  forward(scope, { x }, settings) {
    const { num_hidden_layers, hidden_size, layer_norm_eps: epsilon } = settings;
    const model = scope.child('vit');
    let h = embeddings(model.child('embeddings'), x, settings);
    for (let layer = 0; layer < num_hidden_layers; layer++) {
      h = scope.hiddenLayer(block(model.child('encoder').child('layer').child(`${layer}`), h, settings));
    }
    const first = reshape(slice(layerNorm(model.child('layernorm'), h, { epsilon }), [{ axis: 1, end: 1 }]), [
      x.shape[0],
      hidden_size,
    ]);
    return { logits: linear(scope.child('classifier'), first, settings.num_labels, initial(settings)) };
  },
};
