import type { Dataset } from '../../data/index.js';
import { exactSingularValues } from '../../linalg/index.js';
import { type LockMethod, type LockResult, weightMatrices } from '../../locks/index.js';
import { type Model, parameterSet, type StateDict, writtenParameters } from '../../models/index.js';
import { folderHooks, type JobContext } from './train.js';

/** A lock and the largest singular values of each matrix before and after. */
export interface LockJobResult extends LockResult {
  /** One entry a weight matrix. */
  readonly spectra: readonly MatrixSpectrum[];
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

/** Locks a model's weights in place, with checkpoints, metrics and resume. The utility is measured on `validation`. */
export async function lockJob<Options>(
  { model, train, validation, seed }: { model: Model; train: Dataset; validation: Dataset; seed: number },
  method: LockMethod<Options>,
  options: Options,
  context: JobContext,
): Promise<LockJobResult> {
  const { folder, phase, stepOffset = 0, engine, signal, onStep } = context;
  const params = parameterSet(model.weights);
  const before = largestSingularValues(model.weights);
  const { checkpoint, hooks } = folderHooks(context);
  const result = await method.run(
    {
      model,
      params,
      train,
      validation,
      written: (values) => writtenParameters(model, values),
      seed,
      engine,
      checkpoint,
      hooks,
      signal,
      onStep: ({ step, loss, retainLoss, meanSigma, sigma, utility }) => {
        const largest = Object.fromEntries([...sigma].map(([name, values]) => [name, values[0]]));
        folder.appendMetric({
          step: stepOffset + step,
          phase,
          loss,
          retainLoss,
          meanSigma,
          sigma: largest,
          ...(utility && { utility }),
        });
        onStep?.(step, `mean σ ${meanSigma.toFixed(1)}`);
      },
    },
    options,
  );
  const written = writtenParameters(model);
  const after = largestSingularValues(
    new Map([...model.weights].map(([name, { shape, data }]) => [name, { shape, data: written.get(name) ?? data }])),
  );
  return {
    ...result,
    spectra: [...before].map(([name, values]) => ({ name, before: values, after: after.get(name) ?? [] })),
  };
}

/** How many singular values of each matrix are reported. */
const reported = 8;

/** The largest singular values of every weight matrix, from a full SVD. */
export function largestSingularValues(weights: StateDict): Map<string, number[]> {
  return new Map(
    weightMatrices(weights).map(({ name, rows, columns }) => {
      const data = weights.get(name)?.data ?? new Float32Array();
      return [name, [...exactSingularValues(data, rows, columns).subarray(0, reported)]];
    }),
  );
}
