import { describe, expect, it } from 'vitest';
import { InputError } from '../registry/index.js';
import { matrixShape, type StateDict, weightMatrices } from './index.js';

const weights: StateDict = new Map(
  Object.entries({
    'conv1.weight': [8, 1, 5, 5],
    'conv1.bias': [8],
    'block.0.fc.weight': [4, 6],
    'block.10.fc.weight': [6, 4],
    'norm+weight': [2, 3],
    cls_token: [1, 1, 6],
    running_mean: [6],
    empty: [0, 3],
    scale: [],
  }).map(([name, shape]) => [name, { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) }]),
);

function names(options?: Parameters<typeof weightMatrices>[1]): string[] {
  return weightMatrices(weights, options).map(({ name }) => name);
}

describe('matrixShape', () => {
  it('takes any tensor of two axes or more that is not empty, one row as well', () => {
    const shapes = [[8, 1, 5, 5], [1, 1, 6], [4, 6], [0, 3], [3, 0], [6], []];
    expect(shapes.map((shape) => matrixShape(shape))).toEqual([
      { rows: 8, columns: 25 },
      { rows: 1, columns: 6 },
      { rows: 4, columns: 6 },
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('weightMatrices', () => {
  it('takes every weight of two axes or more, in file order, kernels as out × in·kh·kw', () => {
    expect(weightMatrices(weights)).toEqual([
      { name: 'conv1.weight', rows: 8, columns: 25 },
      { name: 'block.0.fc.weight', rows: 4, columns: 6 },
      { name: 'block.10.fc.weight', rows: 6, columns: 4 },
      { name: 'norm+weight', rows: 2, columns: 3 },
    ]);
  });

  it('matches whole names, * stands for any characters, all others for themselves', () => {
    expect(names({ include: ['*fc*'] })).toEqual(['block.0.fc.weight', 'block.10.fc.weight']);
    expect(names({ include: ['block.*.weight'] })).toEqual(['block.0.fc.weight', 'block.10.fc.weight']);
    expect(names({ include: ['block.0.*', 'conv1.weight'] })).toEqual(['conv1.weight', 'block.0.fc.weight']);
    expect(names({ include: ['norm+weight'] })).toEqual(['norm+weight']);
    expect(() => names({ include: ['weight'] })).toThrow(InputError);
    expect(() => names({ include: ['block?0.fc.weight', 'block.0.fc'] })).toThrow(/got block\?0.fc.weight, block.0.fc/);
  });

  it('exclude wins over include', () => {
    expect(names({ exclude: ['conv*', '*+*'] })).toEqual(['block.0.fc.weight', 'block.10.fc.weight']);
    expect(names({ include: ['block.*'], exclude: ['*.10.*'] })).toEqual(['block.0.fc.weight']);
    expect(() => names({ exclude: ['*'] })).toThrow(InputError);
  });
});
