import type * as ort from 'onnxruntime-node';
import {
  allocate,
  type DType,
  flops,
  runnableInDouble,
  type Shape,
  sizeOf,
  type Tensor,
  type TypedArray,
  toOnnx,
} from '../graph/index.js';
import { WeightlockError } from '../registry/index.js';
import { refusalOf, sentinel } from './sentinel.js';
import { telemetryObjection } from './telemetry.js';

type Runtime = typeof ort;

/**
 * Loads the native library: the only place that does, so that its telemetry is off wherever it runs. At first use, so that
 * a machine without it can still say what is missing.
 */
async function loadRuntime(): Promise<Runtime> {
  const objection = telemetryObjection();
  if (objection !== undefined) throw new EngineError(objection);
  const runtime = await import('onnxruntime-node');
  // Errors are thrown; written by the library itself they would pass by everything that makes output harmless.
  runtime.env.logLevel = 'fatal';
  return runtime;
}

/** Where and how a program runs. */
export interface EngineOptions {
  /** Threads inside one operator; default 0: as many as there are cores. */
  threads?: number;
  /** Execution provider of ONNX Runtime: `cpu` (default), `cuda`, `webgpu`, `coreml` or `dml`. */
  device?: string;
  /** Graph optimizations of ONNX Runtime; default true. */
  optimize?: boolean;
  /** Writes ONNX Runtime's profile of every run to a file with this prefix, complete after the release. */
  profilePrefix?: string;
  /** Counts what the programs of all caches with it run, beside what each cache counts. */
  tally?: FlopTally;
  /** Bytes that the programs of a cache may hold together; default a third of the machine's memory. */
  memory?: number;
}

/** ONNX Runtime refused a graph, or the input of a run does not fit it. */
export class EngineError extends WeightlockError {}

/** What is fed to a program: typed arrays by input name, row-major. */
export type Feeds = Readonly<Record<string, TypedArray>>;

/** Results by output name. The arrays belong to the program: the next run writes over them. */
export type Results = Readonly<Record<string, TypedArray>>;

/** Floating-point operations that were computed; grows with every run. */
export interface FlopTally {
  /** So many, as `flops` counts them. */
  flops: number;
}

/**
 * A compiled graph. Its output buffers are allocated once and filled in place at every run.
 *
 * @example
 * const program = await compile({ loss, dw });
 * const { loss, dw } = await program.run({ x, w });
 * await program.release();
 */
export class Program {
  readonly #runtime: Runtime;
  readonly #session: ort.InferenceSession;
  readonly #profiled: boolean;
  readonly #inputs: ReadonlyMap<string, { shape: Shape; dtype: DType }>;
  readonly #fetches: Record<string, ort.Tensor | null>;
  readonly #results: Record<string, TypedArray>;
  /** The error that ends a run whose outputs are not copied. */
  readonly #refusal: string | undefined;
  /** The tensor last made for an input: feeding the same array again costs no new wrapper. */
  readonly #wrapped = new Map<string, ort.Tensor>();
  #running: Promise<unknown> | undefined;
  readonly #tally: FlopTally;

  /** Shapes of the results, by name. */
  readonly shapes: Readonly<Record<string, Shape>>;
  /** Floating-point operations of one run, counted on the graph as it was given. */
  readonly flops: number;

  /** @internal Use {@link compile}. */
  constructor(
    runtime: Runtime,
    session: ort.InferenceSession,
    outputs: Readonly<Record<string, Tensor>>,
    {
      profiled,
      refusal,
      shapes,
      flops: count,
      tally,
    }: {
      profiled: boolean;
      refusal?: string;
      shapes: Readonly<Record<string, Shape>>;
      flops: number;
      tally: FlopTally;
    },
  ) {
    this.shapes = shapes;
    this.flops = count;
    this.#tally = tally;
    this.#runtime = runtime;
    this.#session = session;
    this.#profiled = profiled;
    this.#refusal = refusal;
    const known = new Set(session.inputNames);
    const graph = Object.values(outputs)[0].graph;
    this.#inputs = new Map([...graph.inputs].filter(([name]) => known.has(name)));
    this.#fetches = {};
    this.#results = {};
    for (const [name, { dtype, shape }] of Object.entries(outputs)) {
      const values = allocate(dtype, sizeOf(shape));
      this.#results[name] = values;
      this.#fetches[name] = wrap(this.#runtime, dtype, values, shape);
    }
    if (refusal !== undefined) this.#fetches[sentinel] = null;
  }

  /** Names of the inputs that {@link run} must be fed, with shape and element type. */
  get inputs(): ReadonlyMap<string, { readonly shape: Shape; readonly dtype: DType }> {
    return this.#inputs;
  }

  /**
   * Runs the graph once.
   *
   * @returns The program's own output arrays: copy what must outlive the next run.
   * @throws EngineError when an input is missing or has another type or length than declared.
   */
  async run(feeds: Feeds): Promise<Results> {
    if (this.#running) throw new EngineError('run: expected the previous run to have ended, the outputs are shared');
    const tensors: Record<string, ort.Tensor> = {};
    for (const [name, { shape, dtype }] of this.#inputs) {
      const values = feeds[name];
      if (!values) throw new EngineError(`run: expected a value for input ${name} ${dtype}[${shape}], got none`);
      if (values.length !== sizeOf(shape) || values.constructor !== allocate(dtype, 0).constructor) {
        const found = `${values.constructor.name} of ${values.length}`;
        throw new EngineError(`run: expected ${dtype}[${shape}] for input ${name}, got ${found}`);
      }
      const last = this.#wrapped.get(name);
      if (last?.data === values) tensors[name] = last;
      else {
        tensors[name] = wrap(this.#runtime, dtype, values, shape);
        this.#wrapped.set(name, tensors[name]);
      }
    }
    this.#running = this.#session.run(tensors, this.#fetches);
    try {
      await this.#running;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message !== this.#refusal) throw new EngineError(`run: ${message}`);
    } finally {
      this.#running = undefined;
    }
    this.#tally.flops += this.flops;
    return this.#results;
  }

  /** Frees the session's memory; the program cannot run afterwards. */
  async release(): Promise<void> {
    await this.#running?.catch(() => undefined);
    this.#wrapped.clear();
    if (this.#profiled) this.#session.endProfiling();
    await this.#session.release();
  }
}

/** Elements of all outputs from which a {@link sentinel} costs less than the copies it saves. */
const worthASentinel = 10_000;

/**
 * How far ONNX Runtime may rewrite a graph. One that computes in float64 gets no fused operators, whose factors are float32
 * whatever the tensors are (a scale of 1/√2 folded into a product: off by 1.6e-7).
 */
function optimizationLevel(outputs: readonly Tensor[], optimize: boolean): 'all' | 'basic' | 'disabled' {
  if (!optimize) return 'disabled';
  return outputs.some(({ dtype }) => dtype === 'float64') ? 'basic' : 'all';
}

/** The tensor whose elements a reshaped one has, in the same order: as an output it need not be copied once more. */
function unshaped(tensor: Tensor): Tensor {
  const { source } = tensor;
  const from = source.kind === 'node' && source.node.op === 'Reshape' ? source.node.inputs[0] : undefined;
  return from?.source.kind === 'node' ? unshaped(from) : tensor;
}

function wrap(runtime: Runtime, dtype: DType, values: TypedArray, shape: Shape): ort.Tensor {
  // `allocate` has refused the types that the runtime's tensors do not know.
  return new runtime.Tensor(dtype as 'float32', values as never, [...shape]);
}

/**
 * Compiles the part of a graph that the given outputs need.
 *
 * @param tally - Counts what its runs compute; default nobody does.
 * @throws EngineError when ONNX Runtime refuses the graph or the device is not there.
 * @throws GraphError when the outputs are not of one graph.
 */
export async function compile(
  outputs: Readonly<Record<string, Tensor>>,
  { threads = 0, device = 'cpu', optimize = true, profilePrefix }: EngineOptions = {},
  tally: FlopTally = { flops: 0 },
): Promise<Program> {
  const runnable = runnableInDouble(outputs);
  const stored = Object.fromEntries(Object.entries(runnable).map(([name, tensor]) => [name, unshaped(tensor)]));
  const elements = Object.values(stored).reduce((sum, { size }) => sum + size, 0);
  try {
    const runtime = await loadRuntime();
    const refusal = device === 'cpu' && elements >= worthASentinel ? await refusalOf(runtime) : undefined;
    const model = toOnnx(stored, refusal === undefined ? {} : { sentinel });
    const session = await runtime.InferenceSession.create(model, {
      executionProviders: [device],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: optimizationLevel(Object.values(stored), optimize),
      // One block for all that a run computes, planned after the first run, holds up to a third more and is no faster.
      enableMemPattern: false,
      logSeverityLevel: 4,
      ...(profilePrefix ? { enableProfiling: true, profileFilePrefix: profilePrefix } : {}),
    });
    const shapes = Object.fromEntries(Object.entries(outputs).map(([name, { shape }]) => [name, shape]));
    const made = {
      profiled: profilePrefix !== undefined,
      refusal,
      shapes,
      flops: flops(Object.values(outputs)),
      tally,
    };
    return new Program(runtime, session, stored, made);
  } catch (error) {
    if (error instanceof WeightlockError) throw error;
    throw new EngineError(`compile: ${error instanceof Error ? error.message : String(error)}`);
  }
}
