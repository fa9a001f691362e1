import { allocateBatch, type Dataset, gatherBatch, layoutAt } from '../../data/index.js';
import { type EngineOptions, type Feeds, ProgramCache, type Results } from '../../engine/index.js';
import type { Tensor } from '../../graph/index.js';
import type { ForwardPass, ModelSpec, Tensors } from '../../models/index.js';
import { type ArraySpecs, type Batch, batchSpecs, feedsOf } from '../../nn/index.js';
import { InterruptedError } from '../../registry/index.js';
import type { Task } from '../../tasks/index.js';
import type { ParameterSet, PassWatch } from '../../training/index.js';

/** Examples, tokens and numbers that are read of one run at most. */
const RUN = { examples: 32, tokens: 4096, outputs: 2 ** 22 };

/** What is read of a model. */
export interface Reading {
  /** Of a forward pass, `[batch, n]` or `[batch, tokens, n]`. */
  of(pass: ForwardPass): Tensor;
  /** Whether a constant added to all n says nothing; default not. */
  readonly isCentred?: boolean;
}

/** Examples, and what is read of them. */
export interface Source {
  readonly reading: Reading;
  readonly dataset: Dataset;
}

/** What a task reads: the model's output. */
export function outputReading({ output, roles }: Task): Reading {
  return { of: ({ outputs }) => outputs[output], isCentred: roles.divergence === 'kl' };
}

/** What passes over examples are computed with, and who watches them. */
export interface RunContext {
  readonly engine?: EngineOptions;
  readonly watch?: PassWatch;
}

/**
 * Computes something of every example, some at a time, those of one run as long as one another.
 *
 * @param graphOf - What is computed of a batch of this layout.
 * @param moreFeeds - Fed beside the batch and the weights; default nothing.
 * @throws InterruptedError after the signal of its watch.
 */
export async function* eachRun(
  model: ModelSpec,
  params: ParameterSet,
  { reading, dataset, engine, watch }: Source & RunContext,
  graphOf: (specs: ArraySpecs) => Tensors,
  moreFeeds: (specs: ArraySpecs, batch: Batch, positions: Uint32Array) => Feeds = () => ({}),
): AsyncGenerator<{ positions: Uint32Array; results: Results }> {
  const programs = new ProgramCache(engine);
  try {
    for (const positions of positionsOfRuns(model, reading, dataset)) {
      const layout = layoutAt(dataset, positions);
      const specs = batchSpecs(layout, positions.length);
      const program = await programs.get(JSON.stringify(specs), () => graphOf(specs));
      const batch = allocateBatch(specs);
      gatherBatch(dataset, positions, { batch, layout });
      const feeds = { ...feedsOf(batch, params), ...moreFeeds(specs, batch, positions) };
      const needed = Object.entries(feeds).filter(([name]) => program.inputs.has(name));
      yield { positions, results: await program.run(Object.fromEntries(needed)) };
      watch?.onExamples?.(positions.length);
      if (watch?.signal?.aborted) throw new InterruptedError('interrupted before the first step');
    }
  } finally {
    await programs.release();
  }
}

/** Positions of a data set, longest examples first, cut into runs of a bounded size. */
function* positionsOfRuns(model: ModelSpec, reading: Reading, dataset: Dataset): Generator<Uint32Array> {
  const { examples, indices, size } = dataset;
  const { lengths } = examples;
  const order = Uint32Array.from({ length: size }, (_, position) => position);
  if (lengths) order.sort((a, b) => lengths[indices[b]] - lengths[indices[a]] || a - b);
  for (let start = 0; start < size; ) {
    const first = order.slice(start, start + 1);
    const one = reading.of(model.build(batchSpecs(layoutAt(dataset, first), 1)));
    const byTokens = lengths ? Math.floor(RUN.tokens / lengths[indices[first[0]]]) : RUN.examples;
    const count = Math.max(1, Math.min(RUN.examples, byTokens, Math.floor(RUN.outputs / one.size)));
    yield order.slice(start, start + count);
    start += count;
  }
}
