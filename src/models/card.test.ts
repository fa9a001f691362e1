import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CardPreprocessing,
  initializeModel,
  loadModel,
  type Model,
  type ModelCard,
  readModelCard,
  saveModel,
} from './index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-card-'));
});
afterAll(() => rm(root, { recursive: true }));

const classes = ['cat', 'dog', 'owl'];
const prepared = (channels: number, side: number): CardPreprocessing => ({
  channels,
  size: [side, side],
  mean: [0.1, 0.2, 0.3].slice(0, channels),
  std: [0.4, 0.5, 0.6].slice(0, channels),
  interpolation: 'bicubic',
});
const data = {
  title: 'pets train',
  options: { name: 'images', classes: [2, 0, 1], splitSeed: 7 },
  trainExamples: 1200,
};
const tiny = { hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 12, patch_size: 8 };

const models: readonly [string, number, number, () => Model][] = [
  ['cnn', 1, 16, () => initializeModel('cnn', { image_size: 16, num_labels: 3 }, 1)],
  ['resnet20', 3, 8, () => initializeModel('resnet20', { image_size: 8, num_labels: 3 }, 1)],
  ['vit', 3, 16, () => initializeModel('vit', { image_size: 16, num_labels: 3, ...tiny }, 1)],
  ['resnet18', 3, 32, () => initializeModel('resnet18', { image_size: 32, num_classes: 3 }, 1)],
];

async function json(...path: string[]): Promise<Record<string, never>> {
  return JSON.parse(await readFile(join(root, ...path), 'utf8'));
}

/** Writes a small model with a card into a new folder. */
async function written(name: string, card: ModelCard): Promise<string> {
  const folder = join(root, name);
  await saveModel(folder, models[0][3](), { card });
  return folder;
}

describe('a card', () => {
  it.each(models)(
    'of a %s is read back as it was written, by a locked copy too',
    async (name, channels, side, make) => {
      const preprocessing = prepared(channels, side);
      const card = { classes, preprocessing, data, version: '1.2.3' };
      const folder = join(root, name);
      await saveModel(folder, make(), { card });
      const model = await loadModel(folder);
      expect(await readModelCard(folder, model)).toEqual({ card, problems: [] });
      // Written from the directory alone: nothing of it is lost.
      await saveModel(join(root, `${name}-copy`), model);
      expect(await readModelCard(join(root, `${name}-copy`), model)).toEqual({ card, problems: [] });
      const sigma = [{ name: 'conv1.weight', before: 1, after: 4 }];
      const lock = { method: 'specdef', options: { alpha: 0.1 }, steps: 80, flops: 3.2e12, sigma };
      await saveModel(join(root, `${name}-locked`), model, { card: { ...card, lock } });
      expect((await readModelCard(join(root, `${name}-locked`), model)).card).toEqual({ ...card, lock });
      expect(await readFile(join(root, `${name}-locked`, 'config.json'))).toEqual(
        await readFile(join(folder, 'config.json')),
      );
    },
  );

  it('names outputs without a class as transformers does, and gives no number to a name that two classes have', async () => {
    await written('unused', { classes: ['cat', 'dog'] });
    expect(await json('unused', 'config.json')).toMatchObject({ id2label: { 0: 'cat', 1: 'dog', 2: 'LABEL_2' } });
    await written('twins', { classes: ['cat', 'cat', 'dog'] });
    const twins = await json('twins', 'config.json');
    expect(twins).toMatchObject({ id2label: { 0: 'cat', 1: 'cat', 2: 'dog' } });
    expect(twins).not.toHaveProperty('label2id');
  });

  it('adds class names to a config.json of others without another change, and leaves theirs', async () => {
    const folder = join(root, 'theirs');
    await saveModel(folder, models[2][3]());
    const config = await json('theirs', 'config.json');
    delete config.num_labels;
    const text = JSON.stringify({ ...config, num_labels: 3 }).replace(/\}$/, ', "layer_norm_eps": 1.0 }\n\n');
    await writeFile(join(folder, 'config.json'), text.replace('"layer_norm_eps":1e-12,', ''));
    const before = await readFile(join(folder, 'config.json'), 'utf8');
    await saveModel(join(root, 'named'), await loadModel(folder), { card: { classes } });
    const after = await readFile(join(root, 'named', 'config.json'), 'utf8');
    expect(after.startsWith(before.trimEnd().slice(0, -1).trimEnd())).toBe(true);
    expect(after).toContain('"layer_norm_eps": 1.0');
    expect(JSON.parse(after).id2label).toEqual({ 0: 'cat', 1: 'dog', 2: 'owl' });
    await saveModel(join(root, 'renamed'), await loadModel(join(root, 'named')), {
      card: { classes: ['x', 'y', 'z'] },
    });
    expect(await readFile(join(root, 'renamed', 'config.json'), 'utf8')).toBe(after);
    // Ten of a hundred classes would be a guess.
    await saveModel(join(root, 'guessed'), await loadModel(folder), { card: { classes: ['x', 'y'] } });
    expect(await readFile(join(root, 'guessed', 'config.json'), 'utf8')).toBe(before);
  });

  it('replaces the preprocessing of the source only where another was used', async () => {
    const preprocessing = prepared(1, 16);
    const folder = await written('processor', { preprocessing });
    const path = join(folder, 'preprocessor_config.json');
    const text = `${JSON.stringify({ ...(await json('processor', 'preprocessor_config.json')), future: 1 })}\n\n`;
    await writeFile(path, text);
    const model = await loadModel(folder);
    await saveModel(join(root, 'same'), model, { card: { preprocessing } });
    expect(await readFile(join(root, 'same', 'preprocessor_config.json'), 'utf8')).toBe(text);
    await saveModel(join(root, 'moved'), model, { card: { preprocessing: { ...preprocessing, mean: [0.11] } } });
    expect((await json('moved', 'preprocessor_config.json')).image_mean).toEqual([0.11]);
  });
});

describe('README.md', () => {
  it("keeps every byte of the source's, with one section that is replaced", async () => {
    const folder = await written('readme-source', { classes });
    const own = Buffer.concat([
      Buffer.from('---\nlicense: mit\ntags: [a]\n---\r\n# Caf'),
      Buffer.of(0xe9, 0xff),
      Buffer.from('\r\n'),
    ]);
    await writeFile(join(folder, 'README.md'), own);
    const model = await loadModel(folder);
    await saveModel(join(root, 'readme'), model, { card: { data } });
    const first = await readFile(join(root, 'readme', 'README.md'));
    expect(first.subarray(0, own.length)).toEqual(own);
    const tail = Buffer.from('\nmore of theirs\n');
    await writeFile(join(folder, 'README.md'), Buffer.concat([first, tail]));
    await saveModel(join(root, 'readme-again'), model, { card: { data: { ...data, title: 'other train' } } });
    const second = await readFile(join(root, 'readme-again', 'README.md'));
    const text = second.toString('latin1');
    expect(text.startsWith(own.toString('latin1'))).toBe(true);
    expect(text.endsWith(tail.toString('latin1'))).toBe(true);
    expect(text.match(/<!-- weightlock -->/g)).toHaveLength(1);
    expect([text.includes('other train'), text.includes('pets train')]).toEqual([true, false]);
  });

  it('is one section, whatever the names in it', async () => {
    const hostile = [
      '`<img src=x onerror=alert(1)>` | ![x](http://evil)',
      'end <!-- /weightlock --> </details> ```\n\n# owned',
      '\u001b[31mred\u202e\u2028 <!-- weightlock -->',
    ];
    const sigma = hostile.map((name) => ({ name, before: 1, after: 2 }));
    const lock = { method: hostile[1], options: { include: hostile }, steps: 1, sigma };
    const metrics = [{ name: 'accuracy', value: Number.NaN, of: hostile[0], n: 3 }];
    const card = { classes: hostile, data: { ...data, title: hostile[1] }, lock, metrics };
    const folder = await written('hostile', card);
    const text = await readFile(join(folder, 'README.md'), 'utf8');
    expect(text.match(/<!-- \/?weightlock -->/g)).toEqual(['<!-- weightlock -->', '<!-- /weightlock -->']);
    // Only what stands in no code span and no block of code has a meaning in Markdown.
    const meaning = text.replace(/```json[\s\S]*?\n```/, '').replace(/`[^`\n]*`/g, 'code');
    expect(meaning).not.toMatch(/onerror|evil|owned|\p{Cf}|NaN/u);
    for (const character of ['\u001b', '\u202e', '\u2028']) expect(text).not.toContain(character);
    for (const row of meaning.split('\n').filter((line) => line.startsWith('| code'))) {
      expect(row.match(/(?<!\\)\|/g)?.length, row).toBe(4);
    }
    const { card: read, problems } = await readModelCard(folder, await loadModel(folder));
    expect(problems).toEqual([]);
    expect(read).toEqual({ classes: hostile, data: card.data, lock });
  });

  it('that is broken, of others or a link out of the folder says nothing, and the model loads', async () => {
    const folder = await written('broken-readme', { classes });
    const model = await loadModel(folder);
    const path = join(folder, 'README.md');
    const read = async (text: string) => {
      await writeFile(path, text);
      return readModelCard(folder, model);
    };
    const section = (inside: string) => `<!-- weightlock -->\n${inside}\n<!-- /weightlock -->`;
    const block = (value: string) => section(`\`\`\`json\n${value}\n\`\`\``);
    expect(await read('# theirs')).toEqual({ card: { classes }, problems: [] });
    expect((await read(block('{"data": '))).problems[0]).toMatch(/^README\.md: expected JSON in the section/);
    expect((await read(section('no JSON'))).problems[0]).toMatch(/README\.md: expected JSON/);
    expect((await read(block('{"data": {"title": 3}}'))).problems[0]).toMatch(/^README\.md: data\.title: .*not used$/);
    expect((await read(block('[]'))).card).toEqual({ classes });
    // A start without an end, and the last whole section counts.
    const nested = `<!-- weightlock -->\n${block('{"version": "1"}')}\n<!-- weightlock -->`;
    expect((await read(nested)).card.version).toBe('1');
    await writeFile(join(root, 'outside.md'), block('{"version": "secret"}'));
    await rm(path);
    await symlink(join(root, 'outside.md'), path);
    expect((await readModelCard(folder, model)).card).toEqual({ classes });
  });
});

describe('preprocessor_config.json of others', () => {
  const base = { image_mean: [0.5], image_std: [0.25], resample: 3 };
  it.each([
    ['as it is', base, { mean: [0.5], std: [0.25], interpolation: 'bicubic' }, []],
    ['one number for all channels', { ...base, image_mean: 0.5 }, { mean: [0.5], std: [0.25] }, []],
    ['not normalized', { do_normalize: false }, { mean: [0], std: [1], interpolation: 'bilinear' }, []],
    // (v − 127.5) / 51 with v from 0 to 255.
    ['not rescaled', { do_rescale: false, image_mean: [127.5], image_std: [51] }, { mean: [0.5], std: [0.2] }, []],
    // (2 v / 255 − 1) / 1.
    ['rescaled otherwise', { rescale_factor: 2 / 255, image_mean: 1, image_std: 1 }, { mean: [0.5], std: [0.5] }, []],
    ["ViT's own numbers", { image_processor_type: 'ViTImageProcessorFast' }, { mean: [0.5], std: [0.5] }, []],
    ['with a crop', { ...base, do_center_crop: true }, { mean: [0.5] }, [/do_center_crop: images are resized whole/]],
    ['with another filter', { ...base, resample: 1 }, { interpolation: 'bilinear' }, [/resample 1/]],
    ['for other channels', { ...base, image_mean: [0.1, 0.2, 0.3] }, undefined, [/image_mean: expected 1 numbers/]],
    ['without a deviation', { image_mean: [0.5] }, undefined, [/image_std: expected 1 numbers/]],
    ['with a deviation of 0', { ...base, image_std: [0] }, undefined, [/image_std: expected numbers above 0/]],
    ['with text for a number', { ...base, image_mean: 'half' }, undefined, [/image_mean: .*it is not used/]],
    ['that is a list', [1], undefined, [/not used/]],
  ])('%s', async (what, file, expected, problems) => {
    const folder = join(root, 'processors', what);
    await mkdir(folder, { recursive: true });
    const model = models[0][3]();
    await writeFile(join(folder, 'preprocessor_config.json'), JSON.stringify(file));
    const { card, problems: found } = await readModelCard(folder, model);
    if (expected) {
      const size = { channels: 1, size: [16, 16] };
      const {
        mean = card.preprocessing?.mean,
        std = card.preprocessing?.std,
        ...rest
      } = expected as Partial<CardPreprocessing>;
      expect(card.preprocessing).toMatchObject({ ...size, ...rest });
      for (const [key, values] of Object.entries({ mean, std })) {
        expect(card.preprocessing?.[key as 'mean' | 'std'][0], key).toBeCloseTo(values?.[0] ?? Number.NaN, 12);
      }
    } else expect(card.preprocessing).toBeUndefined();
    expect(found).toHaveLength(problems.length);
    problems.forEach((pattern, i) => {
      expect(found[i]).toMatch(pattern);
    });
  });

  it('that is no JSON or too large is a problem, not an error', async () => {
    const folder = join(root, 'processors', 'damaged');
    await mkdir(folder, { recursive: true });
    const path = join(folder, 'preprocessor_config.json');
    for (const text of ['{', ' '.repeat(2 ** 20 + 1)]) {
      await writeFile(path, text);
      const { card, problems } = await readModelCard(folder, models[0][3]());
      expect(card).toEqual({});
      expect(problems).toEqual([expect.stringMatching(/preprocessor_config\.json: expected .*it is not used$/)]);
    }
  });
});
