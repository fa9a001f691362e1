import { describe, expect, it } from 'vitest';
import { dataSpec, fewShot, floatDataset, loadData, type Preprocessing, withPreprocessing } from './index.js';

const grey: Preprocessing = { channels: 1, size: [14, 14], mean: [0.5], std: [0.25], interpolation: 'bicubic' };

describe('preprocessing', () => {
  it('is told by each part of loaded data, and by what is cut from it', async () => {
    const options = { size: 14, channels: 3, interpolation: 'bicubic', limit: 20, testLimit: 10 } as const;
    const { train, validation, test } = await loadData(dataSpec.parse(options));
    const expected = {
      channels: 3,
      size: [14, 14],
      mean: [0.1307, 0.1307, 0.1307],
      std: [0.3081, 0.3081, 0.3081],
      interpolation: 'bicubic',
    };
    for (const part of [train, validation, test, fewShot(test, 1, 1)]) expect(part.preprocessing).toEqual(expected);
    // What is written as JSON and read back asks for the same.
    const again = JSON.parse(JSON.stringify(train.preprocessing));
    const same = await loadData(withPreprocessing(dataSpec.parse({ limit: 20, testLimit: 10 }), again));
    expect(same.test.preprocessing).toEqual(expected);
  });

  it('of the digits as they are', async () => {
    const { test } = await loadData(dataSpec.parse({ limit: 2, testLimit: 1 }));
    const own = { channels: 1, size: [28, 28], mean: [0.1307], std: [0.3081], interpolation: 'bilinear' };
    expect(test.preprocessing).toEqual(own);
  });

  it('is absent where inputs are plain numbers', () => {
    const facts = { name: 'plain', labels: Int32Array.of(0), classes: ['a'], shape: [1] };
    expect(floatDataset({ ...facts, inputs: Float32Array.of(1) }).preprocessing).toBeUndefined();
  });
});

describe('withPreprocessing', () => {
  it('fills in what a spec leaves open', () => {
    expect(withPreprocessing(dataSpec.parse({}), grey)).toMatchObject({
      channels: 1,
      size: 14,
      mean: [0.5],
      std: [0.25],
      interpolation: 'bicubic',
    });
    const oblong = withPreprocessing(dataSpec.parse({}), { ...grey, size: [14, 20] });
    expect(oblong.size).toBeUndefined();
  });

  it('leaves what a spec gives', () => {
    const given = { channels: 1, size: 9, mean: [0.1], std: [0.2], interpolation: 'bilinear' } as const;
    expect(withPreprocessing(dataSpec.parse(given), grey)).toMatchObject(given);
    const colour = withPreprocessing(dataSpec.parse({ channels: 3 }), { ...grey, mean: [0.5], std: [0.25] });
    expect(colour).toMatchObject({ channels: 3, mean: [], std: [] });
  });
});
