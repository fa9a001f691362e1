import { type EngineOptions, withPrograms } from '../../engine/index.js';
import {
  type LockData,
  type LockMethod,
  type LockResult,
  type LockStepReport,
  lockContext,
} from '../../locks/index.js';
import { type Model, type StateDict, weightMatrices, writtenParameters } from '../../models/index.js';
import { leadingSingularValues } from '../../spectra/index.js';
import { folderHooks, type JobContext } from './train.js';

/** A lock and the largest singular values of each matrix before and after. */
export interface LockJobResult extends LockResult {
  /** One entry a weight matrix. */
  readonly spectra: readonly MatrixSpectrum[];
  /**
   * Floating-point operations that it took its owner, counted from the graphs as an attacker's are, with the checks of utility that
   * decide when it ends; not in results of versions before 0.3.
   */
  readonly flops?: number;
}

/** Largest singular values of one matrix. */
export interface MatrixSpectrum {
  /** Name of the weight. */
  readonly name: string;
  /** Before the lock, descending. */
  readonly before: readonly number[];
  /** After the lock, descending, of the weights as they are written. */
  readonly after: readonly number[];
}

/**
 * Locks a model's weights in place, with checkpoints, metrics and resume. What the method does not ask for is not needed: the
 * utility is measured on `validation`.
 */
export async function lockJob<Options>(
  { model, seed, ...data }: { model: Model; seed: number } & LockData,
  method: LockMethod<Options>,
  options: Options,
  context: JobContext,
): Promise<LockJobResult> {
  const { folder, phase, stepOffset = 0, engine, signal, onStep } = context;
  const before = await largestSingularValues(model.weights, engine);
  const { checkpoint, hooks } = folderHooks(context);
  const onReport = (report: LockStepReport) => {
    const { step, tokens, ...measured } = report;
    folder.appendMetric({ step: stepOffset + step, phase, ...measured, flops: opened.tally.flops });
    onStep?.(step, method.glance?.(report) ?? '', tokens);
  };
  const opened = lockContext({ model, data, seed }, { engine, checkpoint, hooks, signal, onStep: onReport });
  let result: LockResult;
  try {
    result = await method.run(opened, options);
  } finally {
    await opened.release();
  }
  const written = writtenParameters(model);
  const after = await largestSingularValues(
    new Map([...model.weights].map(([name, { shape, data }]) => [name, { shape, data: written.get(name) ?? data }])),
    engine,
  );
  return {
    ...result,
    flops: opened.tally.flops,
    spectra: [...before].map(([name, values]) => ({ name, before: values, after: after.get(name) ?? [] })),
  };
}

/** How many singular values of each matrix are reported. */
const reported = 8;

/** The largest singular values of every weight matrix. */
export function largestSingularValues(weights: StateDict, engine?: EngineOptions): Promise<Map<string, number[]>> {
  return withPrograms(engine, async (programs) => {
    const found = new Map<string, number[]>();
    for (const { name, rows, columns } of weightMatrices(weights)) {
      const data = weights.get(name)?.data ?? new Float32Array();
      found.set(name, [...(await leadingSingularValues(data, { rows, columns, k: reported, name, programs }))]);
    }
    return found;
  });
}
