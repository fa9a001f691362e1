import { readFile } from 'node:fs/promises';
import { type EngineOptions, type FlopTally, type ProgramCache, withPrograms } from '../../engine/index.js';
import type { RunFolder } from '../../evidence/index.js';
import { writeFileAtomic } from '../../formats/index.js';
import {
  drawsOf,
  freshSecret,
  type LockData,
  type LockMethod,
  type LockResult,
  type LockSecret,
  type LockStepReport,
  type LockStory,
  lockContext,
  OutputErrors,
  readSecret,
} from '../../locks/index.js';
import {
  loadModel,
  loadOpened,
  type Model,
  type ModelOnDisk,
  type StateDict,
  type WeightChange,
  type WeightMatrix,
  type WeightWatch,
  weightMatrices,
  writtenParameters,
} from '../../models/index.js';
import { leadingSingularValues } from '../../spectra/index.js';
import { MovedWeights, type WeightsMoved } from '../weights-moved.js';
import { folderHooks, type JobContext } from './train.js';

/** A lock and the largest singular values of each matrix before and after. */
export interface LockJobResult extends Omit<LockResult, 'rebuilt'> {
  /** One entry a weight matrix that it has before and after. */
  readonly spectra: readonly MatrixSpectrum[];
  /**
   * Floating-point operations that it took its owner, counted from the graphs as an attacker's are, with the checks of utility that
   * decide when it ends; not in results of versions before 0.3.
   */
  readonly flops?: number;
  /** How far the weights as they are written lie from the original's; not in results of versions before 0.3. */
  readonly moved?: WeightsMoved;
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
 * Locks a model, its weights in place where its architecture stays, with checkpoints, metrics and resume. What the method does not ask for is not needed: the
 * utility is measured on `validation`.
 *
 * @param lock - `secret`: decides what is drawn into the weights; default a fresh one, which is kept beside the checkpoint, so that a
 *   run that goes on has the same.
 * @returns The locked model, and what is known of the lock.
 */
export async function lockJob<Options>(
  { model, seed, secret, ...data }: { model: Model; seed: number; secret?: LockSecret } & LockData,
  method: LockMethod<Options>,
  options: Options,
  context: JobContext,
): Promise<{ readonly model: Model; readonly info: LockJobResult }> {
  const { folder, phase, stepOffset = 0, engine, signal, onStep, onPass } = context;
  const before = await largestSingularValues(model.weights, engine);
  const { checkpoint, hooks } = folderHooks(context);
  const onReport = (report: LockStepReport) => {
    const { step, tokens, ...measured } = report;
    folder.appendMetric({ step: stepOffset + step, phase, ...measured, flops: opened.tally.flops });
    onStep?.(step, method.glance?.(report) ?? '', tokens);
  };
  const kept = secret ?? (() => keptSecret(folder, phase));
  const opened = lockContext(
    { model, data, seed, secret: kept },
    { engine, checkpoint, hooks, signal, onStep: onReport, onPass },
  );
  let found: LockResult;
  try {
    found = await method.run(opened, options);
  } finally {
    await opened.release();
  }
  const { rebuilt, ...result } = found;
  const locked = rebuilt ? newModel(model, rebuilt) : model;
  const written = writtenParameters(locked);
  const after = await largestSingularValues(
    new Map([...locked.weights].map(([name, { shape, data }]) => [name, { shape, data: written.get(name) ?? data }])),
    engine,
  );
  const spectra = [...before].flatMap(([name, values]) => {
    const own = after.get(name);
    return own ? { name, before: values, after: own } : [];
  });
  return { model: locked, info: { ...result, flops: opened.tally.flops, spectra } };
}

/** A model of another architecture than the one that it was made from, whose texts it reads. */
function newModel({ source, tokenizer }: Model, { model, weights }: NonNullable<LockResult['rebuilt']>): Model {
  const texts = tokenizer ?? source;
  return { ...model, weights, ...(texts !== undefined && { tokenizer: texts }) };
}

/** The secret of a lock that a run made, or of its interrupted one, or a fresh one, which its owner alone can read. */
export async function keptSecret(folder: RunFolder, phase: string): Promise<string> {
  const path = folder.checkpointPath(`${phase}.secret`);
  const known = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (known !== undefined) return readSecret(known, path);
  const secret = freshSecret();
  await writeFileAtomic(path, `${secret}\n`, { isPrivate: true });
  return secret;
}

/**
 * Locks a model on the disk, which is never loaded: weights are read, changed and written as the method's plan ties them together.
 * Where the model is small enough to be loaded for that, its outputs on noise are compared with the original's, of the weights as they
 * were written.
 *
 * @param lock - `write`: writes the model with these changes, and gives the folder. `mostCompared`: outputs are compared of models of at
 *   most so many weights; default 2²⁸, 1 GiB of float32 values.
 */
export async function lockOnDiskJob<Options>(
  { model, secret }: { model: ModelOnDisk & { readonly source: string }; secret?: LockSecret },
  {
    method,
    options,
    write,
    mostCompared = 2 ** 28,
  }: {
    method: Required<Pick<LockMethod<Options>, 'plan'>> & Pick<LockMethod<Options>, 'draws'>;
    options: Options;
    write: (changes: readonly WeightChange[], watch: WeightWatch) => Promise<string>;
    mostCompared?: number;
  },
  context: JobContext,
): Promise<LockJobResult & { readonly warnings: readonly string[] }> {
  const { folder, phase, stepOffset = 0, onStep } = context;
  const draws = drawsOf(secret ?? (method.draws?.(options) ? await keptSecret(folder, phase) : freshSecret()));
  const { changes, story } = method.plan(model, options, draws);
  const tally: FlopTally = { flops: 0 };
  const engine = { ...context.engine, tally };
  let path = '';
  const { spectra, moved } = await withPrograms(context.engine, async (programs) => {
    const watch = new SpectrumWatch(model, changes, { programs, onWeight: onStep });
    path = await write(changes, watch);
    return { spectra: watch.spectra(), moved: watch.moved.result() };
  });
  const size = [...model.weights.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const isCompared = size <= mostCompared;
  const outputError = isCompared ? await outputErrors(model, path, engine) : undefined;
  await folderHooks(context).hooks.onStart?.(0);
  folder.appendMetric({ step: stepOffset + 1, phase, flops: tally.flops });
  return {
    ...{ steps: 1, stepsTried: 1, stoppedByBudget: false },
    ...{ story: { ...story, ...(outputError && { outputError }) }, flops: tally.flops, spectra, moved },
    warnings: isCompared
      ? []
      : [`The outputs were not compared with the original's: ${size} weights are more than ${mostCompared}.`],
  };
}

/** How far the outputs of a model that was written are from the original's, the two one after the other in memory. */
async function outputErrors(model: ModelOnDisk & { readonly source: string }, path: string, engine: EngineOptions) {
  const errors = new OutputErrors({ model, engine });
  try {
    await errors.before((await loadOpened(model)).weights);
    return (await errors.after((await loadModel(path)).weights)) as LockStory;
  } finally {
    await errors.release();
  }
}

/** Notes the largest singular values of each matrix as it passes, and how far weights move. */
class SpectrumWatch implements WeightWatch {
  readonly moved: MovedWeights;
  readonly #matrices: ReadonlyMap<string, WeightMatrix>;
  readonly #changed: ReadonlySet<string>;
  readonly #before = new Map<string, number[]>();
  readonly #after = new Map<string, number[]>();
  /** Values of weights that are being changed in place. */
  readonly #originals = new Map<string, Float32Array>();
  #done = 0;

  constructor(
    model: ModelOnDisk,
    changes: readonly WeightChange[],
    readonly tools: { readonly programs: ProgramCache; readonly onWeight?: (done: number, name: string) => void },
  ) {
    this.#matrices = new Map(weightMatrices(model.weights).map((matrix) => [matrix.name, matrix]));
    this.#changed = new Set(changes.flatMap(({ names }) => names));
    this.moved = new MovedWeights(model);
  }

  async before(name: string, { data }: { data: Float32Array }): Promise<void> {
    if (this.#changed.has(name)) this.#originals.set(name, data.slice());
    const matrix = this.#matrices.get(name);
    if (matrix) this.#before.set(name, await leading(data, matrix, this.tools.programs));
  }

  async after(name: string, { data }: { data: Float32Array }): Promise<void> {
    this.tools.onWeight?.(++this.#done, name);
    this.moved.add(name, this.#originals.get(name) ?? data, data);
    this.#originals.delete(name);
    const matrix = this.#matrices.get(name);
    if (!matrix) return;
    const before = this.#before.get(name) ?? [];
    this.#after.set(name, this.#changed.has(name) ? await leading(data, matrix, this.tools.programs) : before);
  }

  /** In the order of the model. */
  spectra(): MatrixSpectrum[] {
    return [...this.#matrices.keys()].map((name) => ({
      ...{ name, before: this.#before.get(name) ?? [], after: this.#after.get(name) ?? [] },
    }));
  }
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** How many singular values of each matrix are reported. */
const reported = 8;

/** The largest singular values of every weight matrix. */
export function largestSingularValues(weights: StateDict, engine?: EngineOptions): Promise<Map<string, number[]>> {
  return withPrograms(engine, async (programs) => {
    const found = new Map<string, number[]>();
    for (const matrix of weightMatrices(weights)) {
      const data = weights.get(matrix.name)?.data ?? new Float32Array();
      found.set(matrix.name, await leading(data, matrix, programs));
    }
    return found;
  });
}

async function leading(data: Float32Array, matrix: WeightMatrix, programs: ProgramCache): Promise<number[]> {
  return [...(await leadingSingularValues(data, { ...matrix, k: reported, programs }))];
}
