import { type EngineOptions, ProgramCache } from '../../engine/index.js';
import { sizeOf } from '../../graph/index.js';
import { RandomStream } from '../../linalg/index.js';
import type { ModelSpec } from '../../models/index.js';
import { batchInput, feedsOf } from '../../nn/index.js';
import { taskOf } from '../../tasks/index.js';
import type { ParameterSet } from '../../training/index.js';
import type { TermBatches } from '../term-batches.js';
import { addGradients, gradientsIn } from '../term-gradients.js';
import { type NoiseWeights, noiseName, repNoiseGraph } from './loss.js';

/** The terms of RepNoise on batches of the tasks that an attacker may be after, a task drawn for each step. */
export class RepNoise {
  readonly #programs: ProgramCache;

  constructor(
    readonly model: ModelSpec,
    readonly tasks: readonly TermBatches[],
    readonly weights: NoiseWeights,
    readonly options: { readonly seed: number; readonly engine?: EngineOptions },
  ) {
    this.#programs = new ProgramCache(options.engine);
  }

  /** Adds the gradient of the terms to that of a step, in place. */
  async pull(
    params: ParameterSet,
    gradients: ParameterSet,
    step: number,
  ): Promise<{ noiseLoss: number; ascentLoss: number }> {
    const { model, tasks, weights } = this;
    const { seed } = this.options;
    const drawn = tasks[new RandomStream(seed, 'repnoise task', step).integer(tasks.length)];
    const { specs, batch } = drawn.at(step);
    const key = JSON.stringify(specs);
    const program = await this.#programs.get(key, () => repNoiseGraph(model, taskOf(model), specs, weights));
    const feeds = feedsOf(batch, params);
    for (const [name, { shape }] of program.inputs) {
      const layer = /^batch\/noise (\d+)$/.exec(name)?.[1];
      if (layer === undefined) continue;
      const noise = new Float32Array(sizeOf(shape));
      new RandomStream(seed, `repnoise ${noiseName(Number(layer))}`, step).fillNormal(noise, 0, 1);
      feeds[batchInput(noiseName(Number(layer)))] = noise;
    }
    const results = await program.run(feeds);
    addGradients(gradients, gradientsIn(results));
    return { noiseLoss: Number(results.noise[0]), ascentLoss: Number(results.ascent[0]) };
  }

  /** Frees what was made for it. */
  release(): Promise<void> {
    return this.#programs.release();
  }
}
