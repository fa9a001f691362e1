import { z } from 'zod';
import {
  add,
  concat,
  expand,
  gelu,
  matMul,
  mul,
  reshape,
  slice,
  softmax,
  type Tensor,
  transpose,
} from '../graph/index.js';
import { conv2d, layerNorm, linear, normal, type Scope, zeros } from '../nn/index.js';
import type { Architecture } from './architecture.js';

const huggingFaceClass = 'ViTForImageClassification';

const keys = z.strictObject({
  architectures: z.array(z.string()).default([huggingFaceClass]).describe("the model's class in transformers"),
  architecture: z.literal('vit').optional().describe('name of the architecture, in place of architectures'),
  model_type: z.literal('vit').default('vit').describe('family in transformers'),
  num_channels: z.int().min(1).default(3).describe('channels of the input image'),
  image_size: z.int().min(1).max(1024).default(224).describe('height and width of the input image'),
  patch_size: z.int().min(1).default(16).describe('height and width of a patch'),
  hidden_size: z.int().min(1).default(768).describe('width of the residual stream'),
  num_hidden_layers: z.int().min(1).default(12).describe('number of blocks'),
  num_attention_heads: z.int().min(1).default(12).describe('attention heads; they divide the width'),
  intermediate_size: z.int().min(1).default(3072).describe('width of the hidden layer of a block'),
  hidden_act: z.literal('gelu').default('gelu').describe('activation, by erf'),
  hidden_dropout_prob: z.literal(0).default(0).describe('dropout; none'),
  attention_probs_dropout_prob: z.literal(0).default(0).describe('dropout of attention; none'),
  layer_norm_eps: z.number().positive().default(1e-12).describe('epsilon of layer norms'),
  initializer_range: z.number().positive().default(0.02).describe('deviation of first weights'),
  qkv_bias: z.boolean().default(true).describe('whether query, key and value have a bias'),
  id2label: z
    .record(z.string(), z.string())
    .default({ 0: 'LABEL_0', 1: 'LABEL_1' })
    .describe('name of each class by its number'),
  label2id: z.record(z.string(), z.int()).optional().describe('number of each class by its name'),
});

const config = keys.superRefine(({ hidden_size, num_attention_heads, patch_size, image_size, id2label }, context) => {
  const refuse = (path: keyof typeof keys.shape, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message });
  if (hidden_size % num_attention_heads !== 0) {
    refuse('num_attention_heads', `expected a divisor of hidden_size ${hidden_size}, found ${num_attention_heads}`);
  }
  if (patch_size > image_size) {
    refuse('patch_size', `expected at most image_size ${image_size}, found ${patch_size}`);
  }
  if (Object.keys(id2label).length === 0) refuse('id2label', 'expected at least one class, found none');
});

/** Configuration of the {@link vit}: Hugging Face's keys. */
export type VitConfig = z.infer<typeof config>;

/** Softmax attention over `[batch, tokens, width]`. */
function attention(scope: Scope, x: Tensor, settings: VitConfig): Tensor {
  const [batch, tokens, width] = x.shape;
  const { num_attention_heads: heads, qkv_bias: bias } = settings;
  const inner = scope.child('attention');
  const project = (name: string) =>
    reshape(linear(inner.child(name), x, width, { ...initial(settings), bias }), [batch, tokens, heads, width / heads]);
  const [query, key, value] = ['query', 'key', 'value'].map(project);
  const scores = matMul(transpose(query, [0, 2, 1, 3]), transpose(key, [0, 2, 3, 1]));
  const weights = softmax(mul(scores, 1 / Math.sqrt(width / heads)));
  const mixed = transpose(matMul(weights, transpose(value, [0, 2, 1, 3])), [0, 2, 1, 3]);
  return linear(scope.child('output').child('dense'), reshape(mixed, x.shape), width, initial(settings));
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
  return add(h, linear(scope.child('output').child('dense'), wide, hidden_size, initial(settings)));
}

/** Class token and patches, each with its position: `[batch, 1 + patches, width]`. */
function embeddings(scope: Scope, x: Tensor, settings: VitConfig): Tensor {
  const { hidden_size: width, patch_size, initializer_range } = settings;
  const token = scope.parameter('cls_token', [1, 1, width], normal(initializer_range));
  const patches = Math.floor(x.shape[2] / patch_size) * Math.floor(x.shape[3] / patch_size);
  const positions = scope.parameter('position_embeddings', [1, 1 + patches, width], normal(initializer_range));
  const projection = scope.child('patch_embeddings').child('projection');
  const maps = conv2d(projection, x, width, patch_size, { stride: patch_size, ...initial(settings) });
  const sequence = transpose(reshape(maps, [x.shape[0], width, patches]), [0, 2, 1]);
  return add(concat([expand(token, [x.shape[0], 1, width]), sequence], 1), positions);
}

/** The vision transformer (Dosovitskiy et al. 2020) as Hugging Face's `ViTForImageClassification`, its names and keys. */
export const vit: Architecture<VitConfig> = {
  name: 'vit',
  description: 'vision transformer (Hugging Face ViTForImageClassification)',
  config,
  huggingFaceClass,
  inputShape: ({ num_channels, image_size }) => [num_channels, image_size, image_size],
  classes: ({ id2label }) => Object.keys(id2label).length,
  fit: ([num_channels, image_size], classes) => ({
    num_channels,
    image_size,
    id2label: Object.fromEntries(classes.entries()),
    label2id: Object.fromEntries(classes.map((name, label) => [name, label])),
  }),
  forward(scope, x, settings) {
    const { num_hidden_layers, hidden_size, layer_norm_eps: epsilon } = settings;
    const model = scope.child('vit');
    let h = embeddings(model.child('embeddings'), x, settings);
    for (let layer = 0; layer < num_hidden_layers; layer++) {
      h = block(model.child('encoder').child('layer').child(`${layer}`), h, settings);
    }
    const first = reshape(slice(layerNorm(model.child('layernorm'), h, { epsilon }), [{ axis: 1, end: 1 }]), [
      x.shape[0],
      hidden_size,
    ]);
    return linear(scope.child('classifier'), first, vit.classes(settings), initial(settings));
  },
};
