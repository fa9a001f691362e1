import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { outOfTolerance } from '../../../test/support/compare.js';
import { SmoothProblem } from '../../../test/support/smooth-problem.js';
import { checkpointToTensors, tensorsToCheckpoint } from '../checkpoint.js';
import { optimizers } from './index.js';

interface Fixture {
  cases: {
    optimizer: string;
    options: Record<string, unknown>;
    learningRates: number[];
    tensors: string[];
    after: string[];
    state: Record<string, Record<string, string>>;
  }[];
}

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../../test/fixtures/${name}.json`, import.meta.url), 'utf8'));
const cases = ['optimizer-steps', 'mezo'].flatMap((name) => (read(name) as Fixture).cases);

const unpack = (base64: string) => new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);

/** Parameters and slots are float32 here, and each step's gradient is taken where the rounded ones are. */
const tolerance = 1e-5;

describe('optimizers equal their references, step by step', () => {
  it.each(cases)('$optimizer $options', async ({ optimizer: name, options, learningRates, ...row }) => {
    const problem = new SmoothProblem(row.tensors);
    const { params } = problem;
    let optimizer = optimizers.get(name).create(options);
    let state = optimizer.init(params, problem.shapes);
    const complaints: string[] = [];
    for (const [step, learningRate] of learningRates.entries()) {
      // A checkpoint in the middle changes nothing.
      if (step === 13) {
        const saved = checkpointToTensors({ step, params, optimizer: state, extra: {}, meta: {} });
        state = tensorsToCheckpoint(structuredClone(saved)).optimizer;
        optimizer = optimizers.get(name).create(options);
      }
      optimizer.prepare?.(state, params);
      const { gradients } = problem.evaluate(step);
      await optimizer.update(gradients, state, params, learningRate, problem.oracle(step));
      const found = [...params.values()].flatMap((values) => [...values]);
      complaints.push(...outOfTolerance(`after step ${step + 1}`, found, unpack(row.after[step]), tolerance));
    }
    for (const [slot, tensors] of Object.entries(row.state)) {
      for (const [tensor, packed] of Object.entries(tensors)) {
        const found = state.slots[slot].get(tensor) ?? [];
        complaints.push(...outOfTolerance(`${slot} of ${tensor}`, found, unpack(packed), tolerance));
      }
    }
    expect(complaints).toEqual([]);
    expect(row.after.length).toBeGreaterThanOrEqual(20);
    expect(state.step).toBe(row.after.length);
  });

  it('covers every optimizer, with those compared elsewhere', () => {
    const elsewhere = ['optimizers', 'psgd'].flatMap((name) => (read(name) as Fixture).cases);
    const compared = [...cases, ...elsewhere].map(({ optimizer }) => optimizer);
    // In lbfgs.test.ts, curvature.test.ts and kfac.test.ts.
    expect(new Set([...compared, 'lbfgs', 'natural-gradient', 'kfac'])).toEqual(new Set(optimizers.names()));
  });
});
