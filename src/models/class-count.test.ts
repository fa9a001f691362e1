import { mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initializeModel, loadModel, saveModel } from './index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-class-count-'));
});
afterAll(() => rm(root, { recursive: true }));

const small = { num_channels: 1, image_size: 8 };
const hundred = { architecture: 'resnet20', ...small, num_labels: 100 };

/** Weights with 100 classes; without config.json when `bare`. */
async function written(name: string, bare: boolean): Promise<string> {
  const folder = join(root, name);
  await saveModel(folder, initializeModel('resnet20', hundred, 1));
  if (bare) await unlink(join(folder, 'config.json'));
  return folder;
}

describe('weights with another number of classes', () => {
  it('say so, and what to give, where there is no config.json', async () => {
    const folder = await written('bare', true);
    await expect(loadModel(folder, { config: { architecture: 'resnet20', ...small } })).rejects.toThrow(
      `${folder}: the weights have 100 classes (linear.weight is [100, 64]), the given configuration has 10; give --model-config a JSON file with {"num_labels": 100}`,
    );
    expect((await loadModel(folder, { config: hundred })).weights.get('linear.bias')?.shape).toEqual([100]);
    await expect(loadModel(folder)).rejects.toThrow(/config\.json: expected a file, found nothing; --architecture/);
  });

  it('name the config.json where there is one', async () => {
    const folder = await written('configured', false);
    const path = join(folder, 'config.json');
    const config = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...config, num_labels: 3 }));
    await expect(loadModel(folder)).rejects.toThrow(`${path} has 3; change its num_labels to 100`);
  });

  it('are told apart from weights of another architecture', async () => {
    const folder = await written('other', true);
    const load = (config: Record<string, unknown>) => loadModel(folder, { config: { ...small, ...config } });
    await expect(load({ architecture: 'resnet32', num_labels: 10 })).rejects.toThrow(
      /expected a tensor layer1\.3\.conv1\.weight/,
    );
    await expect(load({ architecture: 'resnet20', num_channels: 3 })).rejects.toThrow(
      /conv1\.weight to be \[16,3,3,3\]/,
    );
  });
});
