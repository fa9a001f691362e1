import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeSafetensors, readSafetensors } from '../formats/index.js';
import {
  initializeModel,
  keysOfHead,
  loadModel,
  type ModelSpec,
  openModel,
  readConfig,
  saveChanged,
  saveModel,
} from './index.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-classes-'));
});
afterEach(() => rm(root, { recursive: true }));

const labels = ['a', 'b', 'c', 'd', 'e'];
const head = { kind: 'classifier', labels };

/** Small classifiers of two classes: of weightlock and transformers. */
const small: Record<string, Record<string, unknown>> = {
  mlp: { input_shape: [4], hidden_sizes: [3], num_labels: 2 },
  vit: { image_size: 8, patch_size: 4, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2 },
  roberta: {
    vocab_size: 20,
    hidden_size: 8,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    max_position_embeddings: 12,
  },
};
const lastLayer: Record<string, RegExp> = {
  mlp: /^fc2\./,
  vit: /^classifier\./,
  // The layer before it is as wide as ever.
  roberta: /^classifier\.out_proj\./,
};

async function written(name: string): Promise<string> {
  const folder = join(root, name);
  const extra = name === 'roberta' ? { architectures: ['RobertaForSequenceClassification'] } : {};
  await saveModel(folder, initializeModel(name, { ...small[name], ...extra }, 3));
  return folder;
}
const namesIn = ({ weights }: { weights: ReadonlyMap<string, unknown> }) => [...weights.keys()].sort();
const classesOf = (model: ModelSpec) => model.head.size;

describe('a head of more classes', () => {
  it.each(Object.keys(small))('of %s is drawn anew, all else is kept', async (name) => {
    const folder = await written(name);
    const own = await loadModel(folder);
    const more = await loadModel(folder, { head, seed: 5 });
    expect([classesOf(own), classesOf(more)]).toEqual([2, 5]);
    expect(namesIn(more)).toEqual(namesIn(own));
    const drawn = [...more.weights].filter(
      ([entry, { shape }]) => String(shape) !== String(own.weights.get(entry)?.shape),
    );
    expect(drawn.length).toBeGreaterThan(0);
    for (const [entry, { shape }] of drawn) {
      expect(entry).toMatch(lastLayer[name]);
      expect(shape[0]).toBe(5);
    }
    for (const [entry, { data }] of more.weights) {
      if (!lastLayer[name].test(entry)) expect(data, entry).toEqual(own.weights.get(entry)?.data);
    }
    expect(more.notes).toHaveLength(1);
    expect(more.notes?.[0]).toMatch(/has 2 classes, not 5: .*\[5, \d+\].* drawn anew from seed 5, not trained\.$/);
    const another = await loadModel(folder, { head, seed: 6 });
    const [[entry]] = drawn;
    expect(another.weights.get(entry)?.data).not.toEqual(more.weights.get(entry)?.data);
  });

  it.each(Object.keys(small))('of %s is written with its classes, and read again', async (name) => {
    const folder = await written(name);
    const more = await loadModel(folder, { head });
    const other = join(root, 'other');
    await saveModel(other, more);
    const read = await loadModel(other);
    expect(read.notes).toEqual([]);
    expect(classesOf(read)).toBe(5);
    for (const [entry, { data }] of more.weights) expect(read.weights.get(entry)?.data, entry).toEqual(data);
    const { id2label } = JSON.parse(await readFile(join(other, 'config.json'), 'utf8'));
    expect(Object.values(id2label)).toEqual(labels);
  });

  it('is named as timm names its classes where the model is one of timm', () => {
    const file = {
      architecture: 'resnet18',
      num_classes: 2,
      label_names: ['x', 'y'],
      pretrained_cfg: { num_classes: 2 },
    };
    const model = readConfig(file, 'config.json');
    expect(keysOfHead(model, head, 'model')).toEqual({ num_classes: 5, label_names: labels });
    const { label_names, ...unnamed } = file;
    expect(keysOfHead(readConfig(unnamed, 'config.json'), head, 'model')).toMatchObject({
      num_classes: 5,
      id2label: { 4: 'e' },
    });
  });

  it('stays what it is where it has as many', async () => {
    const folder = await written('mlp');
    for (const fewer of [['a'], ['a', 'b']]) {
      const model = await loadModel(folder, { head: { kind: 'classifier', labels: fewer } });
      expect([classesOf(model), model.notes, model.changedKeys]).toEqual([2, [], undefined]);
    }
  });

  it('keeps the stored type, and counts in an index of shards', async () => {
    const folder = await written('mlp');
    const { tensors } = await readSafetensors(join(folder, 'model.safetensors'));
    const half = tensors.map(({ name, shape }) => {
      const count = shape.reduce((product, length) => product * length, 1);
      return { name, dtype: 'F16' as const, shape, bytes: new Uint8Array(2 * count) };
    });
    const bytes = half.reduce((sum, tensor) => sum + tensor.bytes.length, 0);
    const shards = { 'a.safetensors': half.slice(0, 2), 'b.safetensors': half.slice(2) };
    const map: Record<string, string> = {};
    for (const [file, part] of Object.entries(shards)) {
      await writeFile(join(folder, file), encodeSafetensors({ tensors: part, metadata: {} }));
      for (const { name } of part) map[name] = file;
    }
    const index = { metadata: { total_size: bytes }, weight_map: map };
    await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
    await rm(join(folder, 'model.safetensors'));
    const more = await loadModel(folder, { head });
    const other = join(root, 'other');
    await saveModel(other, more);
    const after = JSON.parse(await readFile(join(other, 'model.safetensors.index.json'), 'utf8'));
    expect(after.weight_map).toEqual(map);
    // Three classes more, of three weights and a bias each, of two bytes.
    expect(after.metadata.total_size).toBe(bytes + 3 * 4 * 2);
    const again = await loadModel(other);
    expect(again.stored?.get('fc2.weight')).toBe('F16');
    expect(again.weights.get('fc2.weight')?.shape).toEqual([5, 3]);
  });

  it('is drawn again where the model is changed on the disk', async () => {
    const folder = await written('mlp');
    const other = join(root, 'other');
    const opened = await openModel(folder, { head, seed: 5 });
    const negated = {
      names: ['fc1.weight', 'fc2.weight'],
      apply: (weights: ReadonlyMap<string, { data: Float32Array }>) => {
        for (const name of ['fc1.weight', 'fc2.weight'])
          weights.get(name)?.data.set(weights.get(name)?.data.map((v) => -v) ?? []);
      },
    };
    await saveChanged(other, opened, [negated], { seed: 5 });
    const [changed, loaded] = [await loadModel(other), await loadModel(folder, { head, seed: 5 })];
    for (const [entry, { data }] of loaded.weights) {
      const expected = entry.endsWith('.weight') ? data.map((v) => -v) : data;
      expect(changed.weights.get(entry)?.data, entry).toEqual(expected);
    }
  });

  it('is no way round weights that are not those of the configuration', async () => {
    const folder = await written('mlp');
    const config = { architecture: 'mlp', ...small.mlp, num_labels: 3 };
    await expect(loadModel(folder, { config, head })).rejects.toThrow('the weights have 2 classes');
  });
});
