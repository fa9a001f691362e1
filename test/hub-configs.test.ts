import { describe, expect, it } from 'vitest';
import { sizeOf } from '../src/graph/index.js';
import { classNames, modelState, readConfig } from '../src/models/index.js';
import { readFixture } from './support/fixtures.js';

interface Case {
  by: string;
  what: string;
  config: Record<string, unknown>;
  refused?: string;
  input: number[];
  classes: number;
  names: (string | null)[] | null;
  parameters: number;
}

const { cases } = readFixture<{ cases: Case[] }>('hub-configs.json');

describe('config.json as transformers and timm read it', () => {
  it.each(cases.filter(({ refused }) => refused === undefined))('$by: $what', (one) => {
    const spec = readConfig(one.config, 'config.json');
    const { config, head, inputs } = spec;
    expect(inputs.x.shape).toEqual(one.input);
    expect(head).toEqual({ kind: 'classifier', size: one.classes });
    const state = modelState(spec).filter(({ kind }) => kind === 'parameter');
    expect(state.reduce((sum, { shape }) => sum + sizeOf(shape), 0)).toBe(one.parameters);
    const named = one.names?.every((name, label) => name === `LABEL_${label}`) ? null : one.names;
    const expected = named?.map((name, label) => name ?? `LABEL_${label}`);
    expect(classNames(config, one.classes)).toEqual(expected);
  });

  const vit = cases[0].config;
  it.each([
    [{ id2label: { cat: '0' } }, 'id2label: expected a name for each class number, found the key "cat"'],
    [{ id2label: ['cat'] }, 'id2label: expected a name for each class number, found ["cat"]'],
    [{ num_labels: 1e9 }, 'num_labels'],
    [{ image_size: [8] }, 'image_size: expected a whole number from 1 to 1024 or [height, width], found [8]'],
    [{ patch_size: [4, 2] }, 'patch_size: expected patches as high as wide, found [4,2]'],
    [{ hidden_act: 'quick_gelu' }, 'hidden_act'],
    [{ hidden_dropout_prob: 1 }, 'hidden_dropout_prob'],
    [{ problem_type: 'regression' }, 'problem_type'],
    [{ architectures: ['ViTModel'] }, 'found ["ViTModel"]'],
    [{ architectures: null, model_type: 'clip' }, 'expected a key "architecture"'],
  ])('what weightlock cannot compute is refused by its key: %j', (keys, message) => {
    expect(() => readConfig({ ...vit, ...keys }, 'config.json')).toThrow(message);
  });
});
