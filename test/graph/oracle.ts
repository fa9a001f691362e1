import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compile } from '../../src/engine/index.js';
import * as builder from '../../src/graph/builder/index.js';
import {
  type FloatType,
  Graph,
  gradients,
  sizeOf,
  type Tensor,
  type TypedArray,
  toOnnx,
} from '../../src/graph/index.js';
import { outOfTolerance } from '../support/compare.js';
import { decodeArray, readFixture, type StoredArray } from '../support/fixtures.js';
import { type CaseOptions, cases } from './cases.js';

type ByName<T> = Record<string, T>;

/** A case as tools/oracles/graph_ops.py stores it. */
interface StoredCase {
  inputs: ByName<StoredArray>;
  options: CaseOptions;
  outputs: StoredArray[];
  cotangents?: ByName<StoredArray>;
  gradients?: ByName<StoredArray | null>;
  directions?: ByName<StoredArray>;
  hessians?: ByName<StoredArray | null>;
}

/** Largest error of any fp32 result, relative to its element and the root mean square of its tensor; measured: 1.45e-5. */
const tolerance = 2e-5;
/** Least scale of a tensor: inputs are near 1, and a saturated tanh is rounded relative to 1, not to its tiny derivative. */
const floor = 2e-4;

/** The groups that the oracle script writes. */
export const groups = [
  'elementwise',
  'matrix',
  'spatial',
  'reduction',
  'normalization',
  'movement',
  'losses',
  'composites',
] as const;

/** A case turned into a graph: what to run, what to feed, what must come out. */
export interface BuiltCase {
  outputs: ByName<Tensor>;
  feeds: ByName<TypedArray>;
  expected: ByName<StoredArray>;
  /** Differences that need no run: a gradient that is there on one side only. */
  problems: string[];
}

/** Reads a group of cases, by name. */
export function readCases(group: (typeof groups)[number]): ByName<StoredCase> {
  return readFixture<{ cases: ByName<StoredCase> }>(`graph/${group}.json`).cases;
}

/**
 * Builds forward, gradients and Hessian-vector products of a case.
 *
 * @param float - What its float32 arrays are computed in; default as they are.
 */
export function buildCase(
  name: string,
  stored: StoredCase,
  op: typeof builder = builder,
  float: FloatType = 'float32',
): BuiltCase {
  const graph = new Graph();
  const feeds: ByName<TypedArray> = {};
  const typeOf = ({ dtype }: StoredArray) => (dtype === 'float32' ? float : dtype);
  const declare = (role: string, array: StoredArray) => {
    const values = decodeArray(array);
    feeds[role] = typeOf(array) === 'float64' && values instanceof Float32Array ? Float64Array.from(values) : values;
    return graph.input(role, array.shape, typeOf(array));
  };
  const inputs = Object.fromEntries(Object.entries(stored.inputs).map(([key, array]) => [key, declare(key, array)]));
  const build = cases[name.slice(0, name.indexOf('/'))];
  if (!build) throw new Error(`${name}: no such case in test/graph/cases.ts`);
  const made = build(op, inputs, stored.options);
  const results = Array.isArray(made) ? (made as readonly Tensor[]) : [made as Tensor];

  const built: BuiltCase = { outputs: {}, feeds, expected: {}, problems: [] };
  const run = (role: string, tensor: Tensor, array: StoredArray) => {
    built.outputs[`${role}'`] = tensor;
    built.expected[`${role}'`] = array;
  };
  const compare = (role: string, tensor: Tensor | undefined, array: StoredArray | null, strict: boolean) => {
    if (tensor && array) {
      if (String(tensor.shape) === String(array.shape) && tensor.dtype === typeOf(array)) run(role, tensor, array);
      else built.problems.push(`${role}: ${tensor}, expected ${array.dtype}[${array.shape}]`);
    } else if (strict) {
      if (tensor || array) built.problems.push(`${role}: ${tensor}, expected ${array ? 'one' : 'none'}`);
    } else if (tensor) {
      // A second derivative that PyTorch knows to be none may be here as a tensor, of zeros.
      run(role, tensor, zerosLike(tensor));
    } else if (array && decodeArray(array).some((value) => Number(value) !== 0)) {
      // PyTorch gives zeros for some second derivatives that do not exist; "no gradient" is the same number.
      built.problems.push(`${role}: none, expected one`);
    }
  };

  if (results.length !== stored.outputs.length) throw new Error(`${name}: ${results.length} outputs`);
  results.forEach((y, i) => {
    compare(`y${i}`, y, stored.outputs[i], true);
  });
  const wanted = Object.keys(stored.gradients ?? {});
  const wrt = wanted.map((key) => inputs[key]);
  const cotangents = Object.entries(stored.cotangents ?? {}).map(([i, array]) => ({
    y: results[Number(i)],
    c: declare(`c${i}`, array),
  }));
  if (!stored.gradients || cotangents.length === 0) return built;
  const first =
    cotangents.length === 1
      ? gradients(cotangents[0].y, wrt, cotangents[0].c)
      : gradients(
          cotangents.map(({ y, c }) => builder.reduceSum(builder.mul(y, c))).reduce((a, b) => builder.add(a, b)),
          wrt,
        );
  wanted.forEach((key, i) => {
    compare(`d${key}`, first[i], stored.gradients?.[key] ?? null, true);
  });
  const { directions, hessians } = stored;
  if (!directions || !hessians) return built;
  const along = first.flatMap((g, i) =>
    g ? [builder.reduceSum(builder.mul(g, declare(`v_${wanted[i]}`, directions[wanted[i]])))] : [],
  );
  const second =
    along.length === 0
      ? []
      : gradients(
          along.reduce((a, b) => builder.add(a, b)),
          wrt,
        );
  wanted.forEach((key, i) => {
    compare(`h${key}`, second[i], hessians[key], false);
  });
  return built;
}

/** Zeros in the shape of a tensor, as the oracle would store them. */
function zerosLike({ shape, dtype }: Tensor): StoredArray {
  const bytes = { float64: 8, int64: 8, bool: 1 }[dtype as string] ?? 4;
  return { dtype, shape: [...shape], data: Buffer.alloc(bytes * sizeOf(shape)).toString('base64') };
}

async function differences(
  built: BuiltCase,
  names: string[],
  optimize: boolean,
  within = tolerance,
): Promise<string[]> {
  const outputs = Object.fromEntries(names.map((name) => [name, built.outputs[name]]));
  const program = await compile(outputs, { optimize, threads: 1 });
  try {
    const results = await program.run(built.feeds);
    return names.flatMap((name) =>
      outOfTolerance(
        `${name}${optimize ? ' optimized' : ''}`,
        results[name],
        decodeArray(built.expected[name]),
        within,
        floor,
      ),
    );
  } finally {
    await program.release();
  }
}

/** Tests a group of cases against PyTorch: everything with graph optimization off and on, and the forward pass alone. */
export function testGroup(group: (typeof groups)[number]): void {
  const exportTo = process.env.WEIGHTLOCK_EXPORT_ONNX;
  for (const [name, stored] of Object.entries(readCases(group))) {
    test(name, async () => {
      const built = buildCase(name, stored);
      const all = Object.keys(built.outputs);
      if (exportTo) {
        mkdirSync(exportTo, { recursive: true });
        writeFileSync(join(exportTo, `${group} ${name.replace('/', ' ')}.onnx`), toOnnx(built.outputs));
      }
      const problems = [
        ...built.problems,
        ...(await differences(built, all, false)),
        ...(await differences(built, all, true)),
        ...(await differences(
          built,
          all.filter((output) => output.startsWith('y')),
          true,
        )),
      ];
      expect(problems).toEqual([]);
    });
  }
}

/** Expected numbers are rounded to float32, half a unit of which is 6e-8; float64 adds nothing to that. */
const rounding = 1.5e-7;

/** Tests a group of cases in float64, where ONNX Runtime lacks operators, against PyTorch: as close as float32 can tell. */
export function testGroupInDouble(group: (typeof groups)[number], skipped: RegExp): void {
  for (const [name, stored] of Object.entries(readCases(group))) {
    test.skipIf(skipped.test(name))(`${group}: ${name}`, async () => {
      const built = buildCase(name, stored, builder, 'float64');
      const all = Object.keys(built.outputs);
      expect([...built.problems, ...(await differences(built, all, true, rounding))]).toEqual([]);
    });
  }
}
