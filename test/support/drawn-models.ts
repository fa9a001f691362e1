import { compile } from '../../src/engine/index.js';
import { RandomStream } from '../../src/linalg/index.js';
import { initializeModel, type Model } from '../../src/models/index.js';
import { batchInput, weightInput } from '../../src/nn/index.js';
import { taskOf } from '../../src/tasks/index.js';

const text = { vocab_size: 20, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 12 };
const decoder = { ...text, num_key_value_heads: 2, max_position_embeddings: 32, pad_token_id: 0 };
const images = { num_channels: 1, image_size: 8 };
const configs: Readonly<Record<string, Record<string, unknown>>> = {
  mlp: { num_labels: 3, hidden_sizes: [10, 9, 8] },
  cnn: { num_labels: 3, channels: [4, 6], hidden_sizes: [12, 10, 8], kernel_size: 3, num_channels: 1, image_size: 16 },
  resnet20: { num_labels: 3, image_size: 16 },
  vit: { ...{ ...text, vocab_size: undefined }, ...images, patch_size: 4 },
  bert: text,
  'bert-dlr': { ...text, intermediate_size: undefined, feed_forward: { depth: 3, rank: 5 } },
  distilbert: { vocab_size: 20, dim: 16, n_layers: 2, n_heads: 4, hidden_dim: 12 },
  'deberta-v2': { ...text, relative_attention: true, pos_att_type: 'p2c|c2p', max_position_embeddings: 16 },
  gpt2: { vocab_size: 20, n_embd: 16, n_layer: 2, n_head: 4, n_positions: 16 },
  llama: { ...decoder, attention_bias: true, tie_word_embeddings: false },
  qwen3: { ...decoder, head_dim: 4 },
  gemma3_text: { ...decoder, head_dim: 4 },
};

/** Architectures of which a small model can be drawn. */
export const drawnNames = Object.keys(configs);

/** A small model whose every number is drawn: first values, such as gains of 1 and biases of 0, hide mistakes. */
export function drawn(name: string): Model {
  const config = Object.fromEntries(Object.entries(configs[name]).filter(([, value]) => value !== undefined));
  const model = initializeModel(name, config, 1);
  for (const [key, { shape, data }] of model.weights) {
    const stream = new RandomStream(3, key);
    if (key.endsWith('running_var')) stream.fillUniform(data, 0.5, 2);
    else if (shape.length === 1) stream.fillNormal(data, key.endsWith('weight') && name !== 'gemma3_text' ? 1 : 0, 0.3);
    else if (shape.length > 1) stream.fillNormal(data, 0, 1 / Math.sqrt(data.length / shape[0]));
  }
  return model;
}

/** A model's forward pass in double precision, on two examples, of texts one with padding. */
export interface DoubleForward {
  /** Outputs of weights, which may be in double precision. */
  outputs(weights: ReadonlyMap<string, { readonly data: Float32Array | Float64Array }>): Promise<Float64Array>;
  /** Frees it. */
  release(): Promise<void>;
}

/** Compiles a {@link DoubleForward}. */
export async function doubleForward(model: Model): Promise<DoubleForward> {
  const length = 6;
  const specs = Object.fromEntries(
    Object.entries(model.inputs).map(([name, { shape, dtype }]) => [
      name,
      { shape: [2, ...shape.map((size) => size ?? length)], dtype },
    ]),
  );
  const { outputs, scope } = model.build(specs, { dtype: 'float64' });
  const program = await compile({ output: outputs[taskOf(model).output] }, { threads: 1 });
  const batch: Record<string, Float64Array | BigInt64Array> = {};
  for (const [name, { shape, dtype }] of Object.entries(specs)) {
    const size = shape.reduce((a, b) => a * b, 1);
    const stream = new RandomStream(7, name);
    const isMask = name === 'attention_mask';
    const id = (at: number) => (isMask ? Number(at !== size - 1) : name === 'input_ids' ? 2 + (at % 17) : 0);
    batch[batchInput(name)] =
      dtype === 'float32'
        ? Float64Array.from({ length: size }, () => stream.normal())
        : BigInt64Array.from({ length: size }, (_, at) => BigInt(id(at)));
  }
  return {
    outputs: async (weights) => {
      const feeds = { ...batch };
      for (const { name, kind } of scope.state) {
        const data = weights.get(name)?.data;
        if (data && kind !== 'counter') feeds[weightInput(name)] = Float64Array.from(data);
      }
      return Float64Array.from((await program.run(feeds)).output as Float64Array);
    },
    release: () => program.release(),
  };
}

/** A copy of weights in double precision. */
export function doubled(weights: Model['weights']): Map<string, { shape: readonly number[]; data: Float64Array }> {
  return new Map([...weights].map(([name, { shape, data }]) => [name, { shape, data: Float64Array.from(data) }]));
}

/** The largest difference of outputs, as a share of the largest output. */
export function distance(a: Float64Array, b: Float64Array): number {
  const most = a.reduce((found, value) => Math.max(found, Math.abs(value)), 0);
  return a.reduce((found, value, i) => Math.max(found, Math.abs(value - b[i])), 0) / most;
}
