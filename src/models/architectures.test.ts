import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors, writeSafetensors } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import {
  architectures,
  initializeModel,
  initializeWeights,
  loadModel,
  type Model,
  type ModelSpec,
  modelOf,
  modelState,
  parseConfig,
  readConfig,
  saveModel,
  smallestBatch,
} from './index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-architectures-'));
});
afterAll(() => rm(root, { recursive: true }));

const labels = ['cat', 'dog', 'owl'];
/** Keys that keep a test of a large architecture small. */
const small: Record<string, Record<string, unknown>> = {
  vit: { hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 12, patch_size: 8 },
};

function configured(name: string): ModelSpec {
  const architecture = architectures.get(name);
  return parseConfig(
    architecture,
    {
      ...architecture.fit({ x: { shape: [2, 16, 16], dtype: 'float32' } }, { kind: 'classifier', labels }),
      ...small[name],
    },
    'test',
  );
}

function fitted(name: string): Model {
  return initializeModel(name, configured(name).config as Record<string, unknown>, 1);
}

/** Architectures of images; those of texts have a test of their own. */
const ofImages = architectures.entries().filter(({ inputs, config }) => 'x' in inputs(config.parse({})));

describe.each(ofImages.map(({ name }) => name))('%s', (name) => {
  it('fits examples and classes, and describes itself by a config.json that it reads', async () => {
    const model = configured(name);
    const { architecture, config } = model;
    expect(model.inputs).toEqual({ x: { shape: [2, 16, 16], dtype: 'float32' } });
    expect(model.head).toEqual({ kind: 'classifier', size: 3 });
    expect(model.build(smallestBatch(model, 5)).outputs.logits.shape).toEqual([5, 3]);
    const read = readConfig(JSON.parse(JSON.stringify(architecture.toFile?.(config) ?? config)), 'test');
    expect(read.architecture).toBe(architecture);
    expect(read.inputs).toEqual(model.inputs);
    const entries = (spec: ModelSpec) => modelState(spec).map(({ name: entry, shape }) => [entry, shape]);
    expect(entries(read)).toEqual(entries(model));
  });

  it('has the same first weights for a seed, and the same state in training and evaluation, in the same order', () => {
    const spec = configured(name);
    const state = (training: boolean) => spec.build(smallestBatch(spec, 3), { training }).scope.state;
    const [trained, evaluated] = [state(true), state(false)];
    expect(trained.map((entry) => entry.name)).toEqual(evaluated.map((entry) => entry.name));
    // The first layers are enough: a large model has millions of weights.
    const first = (seed: number) => initializeWeights(evaluated.slice(0, 6), seed);
    expect(first(1)).toEqual(first(1));
    expect(first(1)).not.toEqual(first(2));
  });

  it('refuses a key that it does not have', () => {
    expect(() => initializeModel(name, { colour: 'red' }, 1)).toThrow(InputError);
    expect(() => initializeModel(name, { image_siz: 16 }, 1)).toThrow(
      name === 'mlp' ? /image_siz/ : /image_siz.*did you mean image_size\?/,
    );
  });
});

describe('config.json', () => {
  it('is read by architecture or by the class of Hugging Face; others are refused', () => {
    expect(readConfig({ architectures: ['ViTForImageClassification'] }, 'c').architecture.name).toBe('vit');
    expect(readConfig({ architecture: 'resnet20' }, 'c').architecture.name).toBe('resnet20');
    for (const config of [{}, { architectures: ['CLIPModel'] }, { architectures: 'vit' }, [], 'vit', null]) {
      expect(() => readConfig(config, 'folder/config.json'), JSON.stringify(config)).toThrow(InputError);
    }
    expect(() => readConfig({ architectures: ['CLIPModel'] }, 'c')).toThrow(/"model_type" among .*vit.*"CLIPModel"/);
    expect(() => readConfig({ architecture: 'resnet19' }, 'c')).toThrow(/did you mean "resnet18"/);
    expect(() => readConfig({ architecture: 'resnet18', pretrained_cfg: { input_size: [3] } }, 'c')).toThrow(
      InputError,
    );
  });

  it('takes timm’s keys, known or not: input size and channels', () => {
    const { inputs, config } = readConfig(
      {
        architecture: 'resnet18',
        num_classes: 10,
        num_features: 512,
        label_names: ['a'],
        model_args: { in_chans: 1 },
        pretrained_cfg: { input_size: [3, 64, 48], tag: 'a1_in1k' },
      },
      'c',
    );
    expect(inputs.x.shape).toEqual([1, 64, 48]);
    expect(config).toMatchObject({ label_names: ['a'], pretrained_cfg: { tag: 'a1_in1k' } });
  });
});

describe('model directories', () => {
  it('hold counters as int64 and all else as float32, in the order of the state dict', async () => {
    const model = fitted('resnet20');
    await saveModel(join(root, 'new'), model);
    const { tensors } = await readSafetensors(join(root, 'new', 'model.safetensors'));
    expect(tensors.slice(0, 6).map(({ name, dtype, shape }) => [name, dtype, shape])).toEqual([
      ['conv1.weight', 'F32', [16, 2, 3, 3]],
      ['bn1.weight', 'F32', [16]],
      ['bn1.bias', 'F32', [16]],
      ['bn1.running_mean', 'F32', [16]],
      ['bn1.running_var', 'F32', [16]],
      ['bn1.num_batches_tracked', 'I64', []],
    ]);
    const read = await loadModel(join(root, 'new'));
    expect(read.weights).toEqual(model.weights);
    (read.weights.get('bn1.num_batches_tracked')?.data ?? [])[0] = 41;
    await saveModel(join(root, 'counted'), read);
    const counted = await readSafetensors(join(root, 'counted', 'model.safetensors'));
    const counter = counted.tensors.find(({ name }) => name === 'bn1.num_batches_tracked');
    expect([...(counter?.bytes ?? [])]).toEqual([41, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('of others keep their config.json as it is, unknown keys included', async () => {
    const model = fitted('vit');
    const folder = join(root, 'hub');
    await saveModel(folder, model);
    const text = `${JSON.stringify({ ...(model.config as object), transformers_version: '5.0.0', future: [1] })}\n`;
    await writeFile(join(folder, 'config.json'), text);
    await saveModel(join(root, 'hub-copy'), await loadModel(folder));
    expect(await readFile(join(root, 'hub-copy', 'config.json'), 'utf8')).toBe(text);
  });

  it('without config.json load with a given configuration, without counts too, and are written with it', async () => {
    await saveModel(join(root, 'source'), fitted('resnet20'));
    const file = await readSafetensors(join(root, 'source', 'model.safetensors'));
    const tensors = file.tensors.filter(({ name }) => !name.endsWith('num_batches_tracked')).reverse();
    const folder = join(root, 'published');
    await mkdir(folder);
    await writeSafetensors(join(folder, 'model.safetensors'), { ...file, tensors });
    await expect(loadModel(folder)).rejects.toThrow(/config\.json/);
    const config = { architecture: 'resnet20', num_channels: 2, image_size: 16, num_labels: 3 };
    const model = await loadModel(folder, { config });
    await saveModel(join(root, 'published-copy'), model);
    expect(JSON.parse(await readFile(join(root, 'published-copy', 'config.json'), 'utf8'))).toEqual(config);
    expect(await readFile(join(root, 'published-copy', 'model.safetensors'))).toEqual(
      await readFile(join(folder, 'model.safetensors')),
    );
    await expect(loadModel(folder, { config: { ...config, architecture: 'resnet32' } })).rejects.toThrow(
      /expected a tensor layer1\.3\.conv1\.weight/,
    );
  });
});

describe('a configuration that cannot be built', () => {
  const make = (name: string, config: object) => () => initializeModel(name, { ...config }, 1);

  it.each<[string, object, string]>([
    [
      'vit',
      { hidden_size: 10, num_attention_heads: 4 },
      'config: num_attention_heads: expected a divisor of hidden_size 10, found 4',
    ],
    ['vit', { image_size: 8, patch_size: 16 }, 'config: patch_size: expected at most image_size 8, found 16'],
    ['vit', { id2label: {} }, 'config: id2label: expected at least one class, found none'],
    [
      'cnn',
      { image_size: 16, kernel_size: 7 },
      'config: kernel_size: expected a kernel that leaves something of image_size 16, twice',
    ],
    ['cnn', { channels: [0, 4] }, 'config: channels.0: expected a number at least 1, got 0'],
    ['mlp', { input_shape: [] }, 'config: input_shape: expected a list of'],
    ['resnet18', { num_features: 100 }, 'config: num_features: expected 512, which follows from the architecture'],
    ['mlp', { hidden_sizes: [1e12] }, 'the largest is fc1.weight [1000000000000,784]'],
  ])('%s %o names the key', (name, config, message) => {
    expect(make(name, config)).toThrow(message);
    expect(make(name, config)).toThrow(InputError);
  });

  it('also in a file of Hugging Face, which may hold unknown keys', () => {
    const file = { architectures: ['ViTForImageClassification'], hidden_size: 10, num_attention_heads: 4, future: 1 };
    expect(() => readConfig(file, 'config.json')).toThrow('config.json: num_attention_heads: expected a divisor');
  });

  it('that only building finds names the architecture and exits alike', () => {
    const config = { ...(configured('cnn').config as object), image_size: 4 };
    const build = () => modelState(modelOf(architectures.get('cnn'), config));
    expect(build).toThrow(/^cnn: expected a configuration that can be built, /);
    expect(build).toThrow(InputError);
  });

  it('the smallest that can be: a kernel that leaves one pixel, a patch as large as the image', () => {
    expect(make('cnn', { image_size: 22, kernel_size: 7 })).not.toThrow();
    expect(make('cnn', { image_size: 21, kernel_size: 7 })).toThrow('kernel_size');
    expect(make('vit', { ...small.vit, image_size: 8 })).not.toThrow();
  });
});
