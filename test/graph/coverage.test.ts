import { expect, test } from 'vitest';
import * as builder from '../../src/graph/builder/index.js';
import { ancestors, type Tensor } from '../../src/graph/index.js';
import { opTypes } from '../../src/graph/onnx-attributes.js';
import { buildCase, groups, readCases } from './oracle.js';

/** Helpers that make no operator of their own. */
const notOperators = ['resolveAxis'];

test('every operator and every builder function has a case against PyTorch', () => {
  const calls = new Set<string>();
  const counted = Object.fromEntries(
    Object.entries(builder).map(([name, make]) => [
      name,
      (...args: never[]) => {
        calls.add(name);
        return (make as (...args: never[]) => unknown)(...args);
      },
    ]),
  ) as typeof builder;
  const operators = new Set<string>();
  for (const group of groups) {
    for (const [name, stored] of Object.entries(readCases(group))) {
      const outputs: Tensor[] = Object.values(buildCase(name, stored, counted).outputs);
      for (const node of ancestors(outputs)) operators.add(node.op);
    }
  }
  expect(opTypes.filter((op) => !operators.has(op))).toEqual([]);
  const functions = Object.keys(builder).filter((name) => !notOperators.includes(name));
  expect(functions.filter((name) => !calls.has(name))).toEqual([]);
});

test('no graph holds what ONNX Runtime optimizes wrongly: a cast to the same type, a product with one', () => {
  const found: string[] = [];
  for (const group of groups) {
    for (const [name, stored] of Object.entries(readCases(group))) {
      for (const node of ancestors(Object.values(buildCase(name, stored).outputs))) {
        const [a, b] = node.inputs;
        if (node.op === 'Cast' && a?.dtype === node.outputs[0].dtype) found.push(`${group} ${name}: Cast`);
        const one = [a, b].find((x) => x?.source.kind === 'constant' && x.source.values.every((v) => Number(v) === 1));
        if (node.op === 'Mul' && one) found.push(`${group} ${name}: Mul by one`);
      }
    }
  }
  expect(found).toEqual([]);
});
