import { beforeAll, describe, expect, it } from 'vitest';
import { hashed } from '../../../test/support/linalg-fixtures.js';
import { contextOn, type DigitModel, digitModel } from '../../../test/support/locked-digits.js';
import { gradientError, peerExamples, peerModel, peers, peerWeights } from '../../../test/support/peers.js';
import { withPrograms } from '../../engine/index.js';
import { initializeModel, parameterSet, smallestBatch } from '../../models/index.js';
import { batchInput, feedsOf } from '../../nn/index.js';
import { InputError, parseOptions } from '../../registry/index.js';
import { taskOf } from '../../tasks/index.js';
import { lockContext } from '../context.js';
import type { LockStepReport } from '../lock-method.js';
import { TermBatches } from '../term-batches.js';
import { gradientsIn } from '../term-gradients.js';
import { repnoise } from './index.js';
import { noiseName, repNoiseGraph } from './loss.js';
import { repNoiseOptions } from './options.js';

describe.each(peers.repnoise)('the terms of RepNoise, $noiseWeight of noise and $ascentWeight of ascent', (one) => {
  it('are those of torch, with their gradients', async () => {
    const { specs, batch } = new TermBatches(peerModel, peerExamples([100]), { batchSize: peers.batch, seed: 1 }).at(0);
    await withPrograms({ threads: 1 }, async (programs) => {
      const program = await programs.get('', () => repNoiseGraph(peerModel, taskOf(peerModel), specs, one));
      const noises = peers.config.hidden_sizes.map((width, layer) => [
        batchInput(noiseName(layer)),
        Float32Array.from(hashed(peers.seed + 200 + layer, peers.batch * width), (value) => 2 * value),
      ]);
      const results = await program.run({
        ...feedsOf(batch, parameterSet(peerWeights())),
        ...Object.fromEntries(noises),
      });
      for (const name of ['noise', 'ascent', 'term'] as const) expect(results[name][0]).toBeCloseTo(one[name], 5);
      const { error, of } = gradientError(new Map(gradientsIn(results)), one.gradients);
      expect(error, of).toBeLessThan(1e-5);
    });
  });
});

describe('repnoise', () => {
  let digits: DigitModel;
  beforeAll(async () => {
    digits = await digitModel('mlp', { hidden_sizes: [24, 16] });
  });
  const options = (more: Record<string, unknown> = {}) =>
    parseOptions(
      repNoiseOptions,
      {
        ...{ steps: 100, learningRate: 1e-3, batchSize: 32, evaluateEvery: 25, maxDrop: 0.03, maxKl: null },
        ...{ noiseWeight: 1, ascentWeight: 1, cosine: { warmupSteps: 0 } },
        ...more,
      },
      'repnoise',
    );
  const run = async (more: Record<string, unknown>) => {
    const reports: LockStepReport[] = [];
    const context = contextOn(digits, { onStep: (report) => void reports.push(report) });
    const result = await repnoise.run(context, options(more));
    await context.release();
    return { result, reports };
  };
  const late = (reports: readonly LockStepReport[], name: string) => {
    const values = reports.slice(-10).map((report) => Number(report[name]));
    return values.reduce((a, b) => a + b) / values.length;
  };

  it('brings layers near to noise, or the loss of an attacker up, and keeps the utility', async () => {
    const none = await run({ noiseWeight: 1e-9, ascentWeight: 1e-9 });
    const [near, high] = [await run({ ascentWeight: 0 }), await run({ noiseWeight: 0 })];
    expect(late(near.reports, 'noiseLoss')).toBeLessThan(0.3 * late(none.reports, 'noiseLoss'));
    expect(late(high.reports, 'ascentLoss')).toBeGreaterThan(late(none.reports, 'ascentLoss') + 0.5);
    for (const { before, after, steps } of [near.result, high.result]) {
      expect(steps).toBeGreaterThan(0);
      expect((before?.metrics.accuracy ?? 0) - (after?.metrics.accuracy ?? 0)).toBeLessThanOrEqual(0.03 + 1e-9);
    }
    expect(near.result.story).toEqual({ proxies: [{ name: digits.others.train.name, size: 600 }] });
  });

  it('is the retain training alone as a sham', async () => {
    const sham = repnoise.sham?.(options({ steps: 3 }));
    expect(sham).toMatchObject({ noiseWeight: 0, ascentWeight: 0 });
    const { reports } = await run({ ...sham });
    expect(reports[0]).not.toHaveProperty('noiseLoss');
  });

  it('asks for tasks that an attacker may be after, and for hidden layers', async () => {
    const { model, train, validation } = digits;
    const without = lockContext({ model, data: { train, validation }, seed: 1 }, { engine: { threads: 1 } });
    await expect(repnoise.run(without, options())).rejects.toThrow(
      new InputError('repnoise: expected examples of tasks that an attacker may be after, got none; give --proxies'),
    );
    await without.release();
    const flat = initializeModel('mlp', { num_labels: 6, hidden_sizes: [] }, 1);
    const weights = { noiseWeight: 1, ascentWeight: 1 };
    expect(() => repNoiseGraph(flat, taskOf(flat), smallestBatch(flat), weights)).toThrow('hidden layers, found none');
  });

  it('has the defaults of the published code', () => {
    expect(repNoiseOptions.parse({})).toMatchObject({
      ...{ noiseWeight: 0.001, ascentWeight: 1, steps: 250, batchSize: 4, learningRate: 1e-4, optimizer: 'adamw' },
      ...{ schedule: 'cosine', cosine: { warmupSteps: 25 }, retain: { task: 1, kl: 0 } },
    });
  });
});
