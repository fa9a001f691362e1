import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeIdxFolder } from '../../test/support/image-data.js';
import { dataSpec } from '../data/index.js';
import { digestOfFolder } from '../evidence/index.js';
import { initializeModel, loadModel, saveModel } from '../models/index.js';
import { taskOf } from '../tasks/index.js';
import { dataForModel, modelData, taskInput } from './card-data.js';
import { dataInputs, loadTask } from './data-folder.js';

const tokenizer = 'test/fixtures/tokenizers/wordpiece';
const bert = { vocab_size: 420, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 8 };

let root: string;
let file: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-task-'));
  file = join(root, 'some.csv');
  await writeFile(file, 'text,label\nfox,0\ndog,1\n');
  const fresh = initializeModel('bert', { ...bert, architectures: ['BertForSequenceClassification'] }, 1);
  await saveModel(join(root, 'model'), { ...fresh, tokenizer });
});
afterAll(() => rm(root, { recursive: true }));
const spec = (more: object) => dataSpec.parse({ path: file, tokenizer, ...more });

describe('what a run depends on', () => {
  it('is the content of its texts and of its tokenizer, wherever they lie', async () => {
    const inputs = await dataInputs(spec({}));
    expect(Object.keys(inputs).toSorted()).toEqual(['data', 'tokenizer']);
    await cp(file, join(root, 'moved.csv'));
    await cp(tokenizer, join(root, 'tokenizer'), { recursive: true });
    const moved = spec({ path: join(root, 'moved.csv'), tokenizer: join(root, 'tokenizer') });
    expect(await dataInputs(moved)).toEqual(inputs);
    expect(taskInput(moved)).toEqual(taskInput(spec({})));
    await writeFile(join(root, 'moved.csv'), 'text,label\nfox,0\ndog,0\n');
    await writeFile(join(root, 'tokenizer/special_tokens_map.json'), '{}');
    const changed = await dataInputs(moved);
    expect(changed.data).not.toBe(inputs.data);
    expect(changed.tokenizer).not.toBe(inputs.tokenizer);
  });

  it('is of one set of IDX files among several its own files, whatever lies beside them', async () => {
    const folder = join(root, 'sets');
    await writeIdxFolder(folder);
    const one = dataSpec.parse({ path: join(folder, 'train-images-idx3-ubyte') });
    const inputs = await dataInputs(one);
    // As when it was of all files there.
    expect(inputs).toEqual({ data: await digestOfFolder(folder) });
    await cp(join(folder, 'train-images-idx3-ubyte'), join(folder, 'other-train-images-idx3-ubyte'));
    await mkdir(join(folder, 'runs'));
    expect(await dataInputs(one)).toEqual(inputs);
    await cp(join(folder, 't10k-labels-idx1-ubyte.gz'), join(folder, 'train-labels-idx1-ubyte'));
    expect(await dataInputs(one)).not.toEqual(inputs);
  });

  it('what texts are read with is part of the configuration', () => {
    expect(taskInput(spec({ maxLength: 8 }))).not.toEqual(taskInput(spec({})));
  });
});

describe('data for a model of texts', () => {
  const forModel = async (given: object) => {
    const folder = join(root, 'model');
    return dataForModel(folder, await loadModel(folder), modelData.parse(given));
  };

  it('are read with its own tokenizer, which is written beside a new model', async () => {
    const { data } = await forModel({ path: file });
    expect(data.tokenizer).toBe(join(root, 'model'));
    const { test } = await loadTask({ ...data, testShare: 1 }, () => undefined, { measures: true });
    expect(test.examples.lengths).toHaveLength(2);
    expect((await forModel({ path: file, tokenizer })).data.tokenizer).toBe(tokenizer);
  });

  it('have tokens and lengths that the model knows', async () => {
    const { test } = await loadTask(spec({ testShare: 1 }), () => undefined, { measures: true });
    const classifier = (more: object) => {
      const config = { ...bert, ...more, architectures: ['BertForSequenceClassification'] };
      return initializeModel('bert', config, 1);
    };
    const requireFit = (more: object) => {
      const fresh = classifier(more);
      taskOf(fresh).requireFit(fresh, test);
    };
    expect(() => requireFit({})).not.toThrow();
    expect(() => requireFit({ vocab_size: 20 })).toThrow(
      /expected tokens of the model's vocabulary of 20, found number \d+; is the/,
    );
    expect(() => requireFit({ max_position_embeddings: 4 })).toThrow(
      'expected texts of at most the 4 tokens that the model reads, found one padded to 8; give data.maxLength',
    );
  });

  it('are texts', async () => {
    await expect(forModel({})).rejects.toThrow(
      'model: expected data of texts, as the model takes, got digits, which has images',
    );
    await expect(loadTask(spec({ testShare: 1 }), () => undefined)).rejects.toThrow(
      'data.testShare: expected less than 1, as there must be examples to train on',
    );
  });
});
