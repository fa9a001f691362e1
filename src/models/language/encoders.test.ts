import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeSafetensors, fromFloat32, parseSafetensors, type StoredTensor } from '../../formats/index.js';
import { InputError } from '../../registry/index.js';
import {
  type Architecture,
  architectures,
  initializeModel,
  loadModel,
  type ModelSpec,
  modelState,
  parseConfig,
  readConfig,
  saveModel,
  smallestBatch,
} from '../index.js';

const bertLike = {
  vocab_size: 20,
  hidden_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 12,
};
/** Keys that keep a family small; `deberta-v2` with all that it can have. */
const small: Record<string, Record<string, unknown>> = {
  bert: bertLike,
  'bert-dlr': (({ intermediate_size: _, ...others }) => ({ ...others, feed_forward: { depth: 3, rank: 2 } }))(bertLike),
  roberta: bertLike,
  'xlm-roberta': bertLike,
  distilbert: { vocab_size: 20, dim: 8, n_layers: 1, n_heads: 2, hidden_dim: 12 },
  'deberta-v2': {
    ...{ ...bertLike, relative_attention: true, pos_att_type: 'p2c|c2p', position_buckets: 4, conv_kernel_size: 3 },
    ...{ norm_rel_ebd: 'layer_norm', embedding_size: 4, type_vocab_size: 2, max_position_embeddings: 16 },
  },
};
const kinds = ['embedding', 'classifier', 'token-classifier', 'masked-lm'];
const table = Object.keys(small).flatMap((name) => kinds.map((kind) => ({ name, kind })));
const labels = (kind: string) => (kind.endsWith('classifier') ? ['a', 'b', 'c'] : []);

/** The keys of a small model with a head. */
function keysOf(name: string, kind: string): Record<string, unknown> {
  const example = { input_ids: { shape: [5], dtype: 'int64' as const } };
  return { ...small[name], ...architectures.get(name).fit(example, { kind, labels: labels(kind) }) };
}

const specOf = (name: string, kind: string): ModelSpec => parseConfig(architectures.get(name), keysOf(name, kind), 'c');
const namesOf = (spec: ModelSpec, training = false) =>
  spec.build(smallestBatch(spec, 2), { training }).scope.state.map(({ name, shape }) => `${name} ${shape}`);

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-encoders-'));
});
afterAll(() => rm(root, { recursive: true }));

describe.each(table)('$name with a head $kind', ({ name, kind }) => {
  it('is made for a task, and has one state in training, in evaluation and as its config.json says', () => {
    const spec = specOf(name, kind);
    const sizes: Record<string, number> = { embedding: 8, 'masked-lm': 20 };
    expect(spec.head).toEqual({ kind, size: sizes[kind] ?? 3 });
    expect(namesOf(spec, true)).toEqual(namesOf(spec));
    const read = readConfig(JSON.parse(JSON.stringify(spec.config)), 'config.json');
    expect(read.architecture).toBe(spec.architecture);
    expect(read.head).toEqual(spec.head);
    expect(namesOf(read)).toEqual(namesOf(spec));
  });

  it('takes texts of any length, each token with what it is told of it', () => {
    const spec = specOf(name, kind);
    const batch = (tokens: number) =>
      Object.fromEntries(
        Object.keys(spec.inputs).map((input) => [input, { shape: [2, tokens], dtype: 'int64' as const }]),
      );
    for (const tokens of [1, 2, 13]) {
      const [output] = Object.values(spec.build(batch(tokens)).outputs);
      const perText = kind === 'embedding' || kind === 'classifier';
      expect(output.shape).toEqual([2, ...(perText ? [] : [tokens]), spec.head.size]);
    }
  });

  it('reads and writes files by the names that others give them, to the byte', async () => {
    const folder = join(root, name, kind);
    const made = initializeModel(name, keysOf(name, kind), 1);
    await saveModel(folder, made, { force: true });
    const { tensors } = parseSafetensors(await readFile(join(folder, 'model.safetensors')), 'f');
    const positions = fromFloat32(Float32Array.of(0, 1), {
      name: 'embeddings.position_ids',
      dtype: 'I64',
      shape: [1, 2],
    });
    const prefixes: Record<string, string> = { 'xlm-roberta': 'roberta', 'deberta-v2': 'deberta', 'bert-dlr': 'bert' };
    const base = prefixes[name] ?? name;
    const renamed: [string, (tensor: StoredTensor) => string][] = [
      ['as they are', (tensor) => tensor.name],
      ['of DataParallel', (tensor) => `module.${tensor.name}`],
      ['with the prefix', (tensor) => (tensor.name.startsWith(`${base}.`) ? tensor.name : `${base}.${tensor.name}`)],
      ['without it', (tensor) => tensor.name.replace(`${base}.`, '')],
      [
        'of TensorFlow',
        ({ name: own }) =>
          own.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta'),
      ],
    ];
    for (const [how, rename] of renamed) {
      const source = join(folder, how);
      await mkdir(source);
      await writeFile(join(source, 'config.json'), await readFile(join(folder, 'config.json')));
      const stored = [positions, ...tensors.map((tensor) => ({ ...tensor, name: rename(tensor) }))];
      await writeFile(
        join(source, 'model.safetensors'),
        encodeSafetensors({ tensors: stored, metadata: { format: 'pt' } }),
      );
      const model = await loadModel(source);
      expect(model.weights, how).toEqual(made.weights);
      expect(model.notes, how).toEqual([]);
      await saveModel(join(source, 'copy'), model);
      for (const file of ['model.safetensors', 'config.json']) {
        expect((await readFile(join(source, 'copy', file))).equals(await readFile(join(source, file))), how).toBe(true);
      }
    }
  });

  it('gets another head, says so, and leaves the tensors of its own as they are', async () => {
    const folder = join(root, name, `${kind}-again`);
    await saveModel(folder, initializeModel(name, keysOf(name, kind), 1));
    const before = parseSafetensors(await readFile(join(folder, 'model.safetensors')), 'f').tensors;
    for (const other of kinds.filter((each) => each !== kind)) {
      const model = await loadModel(folder, { head: { kind: other, labels: labels(other) }, seed: 3 });
      expect(model.head.kind).toBe(other);
      const fresh = modelState(model).filter(
        (entry) =>
          !before.some((tensor) =>
            [tensor.name, tensor.name.replace(/^[a-z]+\./, '')].some((own) =>
              [entry.name, entry.name.replace(/^[a-z]+\./, '')].includes(own),
            ),
          ),
      );
      const drawn = fresh.map(({ name: own, shape }) => `${own} [${shape.join(', ')}]`).join(', ');
      // Classifiers of texts and of tokens have one name but in RoBERTa.
      const shared = [kind, other].every((each) => each.endsWith('classifier')) && !name.endsWith('roberta');
      expect(model.notes).toEqual([
        ...(shared
          ? [
              `${folder}: classifier.weight, classifier.bias are of its head ${kind} and begin the head ${other}, which has their names.`,
            ]
          : []),
        ...(drawn === '' ? [] : [`${folder} has no ${drawn}: drawn anew from seed 3, not trained.`]),
      ]);
      if (shared) {
        await expect(loadModel(folder, { head: { kind: other, labels: ['x', 'y'] } })).rejects.toThrow(
          `${folder}: expected "classifier.weight" to be [2,8] for a head ${other}, found [3,8] of its head ${kind}, which has no other name to be kept under`,
        );
      }
      const copy = join(folder, other);
      await saveModel(copy, model);
      const after = parseSafetensors(await readFile(join(copy, 'model.safetensors')), 'f').tensors;
      expect(after.slice(0, before.length)).toEqual(before);
      expect(after.slice(before.length).map(({ name: own }) => own)).toEqual(fresh.map(({ name: own }) => own));
      const again = await loadModel(copy);
      expect(again.head).toEqual(model.head);
      expect(again.weights).toEqual(model.weights);
    }
  });

  it('refuses keys that it does not have, tasks for which it has no head, and texts beyond its context', () => {
    const architecture = architectures.get(name);
    expect(() => initializeModel(name, { ...small[name], vocab_siz: 3 }, 1)).toThrow(
      /vocab_siz.*did you mean vocab_size\?/,
    );
    expect(() => architecture.fit({}, { kind: 'causal-lm', labels: [] })).toThrow(
      `model: expected a head causal-lm for the task, ${name} has embedding, classifier, token-classifier, masked-lm`,
    );
    const spec = specOf(name, kind);
    const { max_position_embeddings: most } = spec.config as { max_position_embeddings: number };
    const shape = [1, most + 1];
    const long = Object.fromEntries(
      Object.keys(spec.inputs).map((input) => [input, { shape, dtype: 'int64' as const }]),
    );
    const fits = /roberta/.test(name) ? most - 2 : most;
    expect(() => spec.build(long)).toThrow(
      `${name}: expected texts of at most ${fits} tokens, found one of ${most + 1}`,
    );
    expect(() => spec.build(long)).toThrow(InputError);
  });
});

it('words that are predicted by other vectors than their own need a configuration that says so', async () => {
  const folder = join(root, 'untied');
  const tied = initializeModel('bert', keysOf('bert', 'masked-lm'), 1);
  await saveModel(folder, tied);
  const file = join(folder, 'model.safetensors');
  const { tensors, metadata } = parseSafetensors(await readFile(file), 'f');
  const decoder = (name: string, shape: number[], value: number) =>
    fromFloat32(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value), { name, dtype: 'F32', shape });
  const own = [decoder('cls.predictions.decoder.weight', [20, 8], 2), decoder('cls.predictions.decoder.bias', [20], 3)];
  await writeFile(file, encodeSafetensors({ tensors: [...tensors, ...own], metadata }));
  await expect(loadModel(folder)).rejects.toThrow(
    'tensor "cls.predictions.decoder.weight": expected the values of "bert.embeddings.word_embeddings.weight", to which it is tied, found others; where they are to differ, config.json says "tie_word_embeddings": false',
  );
  const config = { ...keysOf('bert', 'masked-lm'), model_type: 'bert', tie_word_embeddings: false };
  const { weights } = await loadModel(folder, { config });
  expect(weights.get('cls.predictions.decoder.weight')?.data[0]).toBe(2);
  expect(weights.has('cls.predictions.bias')).toBe(false);
});

describe('a key that cannot be', () => {
  const make = (name: string, keys: Record<string, unknown>) => () =>
    initializeModel(name, { ...small[name], ...keys }, 1);
  it.each<[string, Record<string, unknown>, string]>([
    ['bert', { num_attention_heads: 3 }, 'num_attention_heads: expected a divisor of hidden_size 8, found 3'],
    ['bert', { hidden_act: 'selu' }, 'hidden_act: expected one of gelu, '],
    ['bert', { position_embedding_type: 'relative_key' }, 'position_embedding_type: expected absolute'],
    ['bert', { pad_token_id: 20 }, 'pad_token_id: expected a token of the vocabulary of 20, found 20'],
    ['bert', { is_decoder: true }, 'is_decoder: expected false, got true'],
    ['bert', { hidden_dropout_prob: 1 }, 'hidden_dropout_prob'],
    ['bert', { problem_type: 'regression' }, 'problem_type'],
    [
      'roberta',
      { max_position_embeddings: 2 },
      'max_position_embeddings: expected more than pad_token_id + 1 = 2, found 2',
    ],
    ['roberta', { pad_token_id: null }, 'pad_token_id'],
    ['distilbert', { n_heads: 3 }, 'n_heads: expected a divisor of dim 8, found 3'],
    ['deberta-v2', { pos_att_type: 'c2p|p2p' }, 'pos_att_type: expected c2p, p2c or both, separated by |'],
    ['deberta-v2', { norm_rel_ebd: 'batch_norm' }, 'norm_rel_ebd: expected none or layer_norm'],
    ['deberta-v2', { position_buckets: 2 }, 'position_buckets: expected at least 4, or less than 1 for none'],
    ['deberta-v2', { conv_kernel_size: 4 }, 'conv_kernel_size: expected an odd number, or 0 for none'],
    ['deberta-v2', { conv_groups: 3 }, 'conv_groups: expected a divisor of hidden_size 8, found 3'],
    [
      'deberta-v2',
      { attention_head_size: 5 },
      'attention_head_size: expected hidden_size / num_attention_heads, 4, found 5',
    ],
    ['deberta-v2', { pooler_hidden_size: 5 }, 'pooler_hidden_size: expected hidden_size, 8, found 5'],
  ])('%s %j names the key', (name, keys, message) => {
    expect(make(name, keys)).toThrow(message);
    expect(make(name, keys)).toThrow(InputError);
  });
});

describe('configurations of the hub', () => {
  const bertOf = (keys: object) => readConfig({ model_type: 'bert', ...bertLike, ...keys }, 'config.json');

  it('say the head by their class; a base model where they name none', () => {
    expect(bertOf({}).head.kind).toBe('embedding');
    expect(bertOf({ architectures: null }).head.kind).toBe('embedding');
    expect(bertOf({ architectures: ['BertForPreTraining'] }).head.kind).toBe('masked-lm');
    expect(() => bertOf({ architectures: ['BertForQuestionAnswering'] })).toThrow(
      'expected one of BertModel, BertForSequenceClassification, BertForTokenClassification, BertForMaskedLM, BertForPreTraining under "architectures"',
    );
  });

  it('keep keys that are not known, and null where transformers allows it', () => {
    const { config } = bertOf({ gradient_checkpointing: false, classifier_dropout: null, pad_token_id: null });
    expect(config).toMatchObject({ gradient_checkpointing: false, pad_token_id: null });
  });

  it('have what is published as DeBERTa v3 and Llama Prompt Guard 2', () => {
    // The keys of microsoft/deberta-v3-xsmall, which names no class.
    const v3 = {
      ...{ model_type: 'deberta-v2', attention_probs_dropout_prob: 0.1, hidden_act: 'gelu', hidden_dropout_prob: 0.1 },
      ...{ hidden_size: 384, initializer_range: 0.02, intermediate_size: 1536, max_position_embeddings: 512 },
      ...{ relative_attention: true, position_buckets: 256, norm_rel_ebd: 'layer_norm', share_att_key: true },
      ...{ pos_att_type: 'p2c|c2p', layer_norm_eps: 1e-7, max_relative_positions: -1, position_biased_input: false },
      ...{ num_attention_heads: 6, num_hidden_layers: 12, type_vocab_size: 0, vocab_size: 128_100 },
    };
    const spec = readConfig(v3, 'config.json');
    const weights = modelState(spec).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    // Its card: 22M of the backbone, 48M of the embedding.
    expect(Math.round(weights / 1e6)).toBe(22 + 49);
    expect(spec.inputs).not.toHaveProperty('token_type_ids');
    const guard = {
      ...v3,
      architectures: ['DebertaV2ForSequenceClassification'],
      pooler_hidden_size: 384,
      legacy: true,
    };
    const labelled = {
      ...guard,
      id2label: { 0: 'LABEL_0', 1: 'LABEL_1' },
      pooler_dropout: 0,
      pooler_hidden_act: 'gelu',
    };
    expect(readConfig(labelled, 'config.json').head).toEqual({ kind: 'classifier', size: 2 });
  });
});

it('every encoder of the registry is tested here', () => {
  const encoders = architectures
    .entries()
    .filter(({ classes }: Architecture) => classes && Object.values(classes).includes('masked-lm'));
  expect(encoders.map(({ name }) => name).sort()).toEqual(Object.keys(small).sort());
});
