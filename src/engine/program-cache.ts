import type { Tensor } from '../graph/index.js';
import { compile, type EngineOptions, type FlopTally, type Program } from './program.js';

/** Programs that a cache keeps: batches of many shapes have one each, and each holds the memory of a step. */
const defaultLimit = 64;

/**
 * Compiled programs by key, so that many runs of one architecture share one session (sessions are slow to make, and
 * making them over and over leaks memory in ONNX Runtime). A program serves one run at a time. A bounded number is kept: the
 * one that was longest unused goes, so ask for a program each time that it is run.
 */
export class ProgramCache {
  readonly #programs = new Map<string, Promise<Program>>();
  readonly #limit: number;
  readonly #tally: FlopTally;

  /**
   * @param engine - Threads and device of all programs.
   * @param options - `limit`: how many programs are kept; default 64.
   */
  constructor(
    readonly engine: EngineOptions = {},
    { limit = defaultLimit }: { limit?: number } = {},
  ) {
    this.#limit = limit;
    this.#tally = engine.tally ? new SharedTally(engine.tally) : { flops: 0 };
  }

  /** Floating-point operations of all runs of its programs so far, those that it has let go too. */
  get flops(): number {
    return this.#tally.flops;
  }

  /** The program of a key, compiled from `outputs()` at its first use. */
  async get(key: string, outputs: () => Readonly<Record<string, Tensor>>): Promise<Program> {
    const program = this.#programs.get(key) ?? compile(outputs(), this.engine, this.#tally);
    // Last in the map: the one used last.
    this.#programs.delete(key);
    this.#programs.set(key, program);
    for (const [oldest, unused] of this.#programs) {
      if (this.#programs.size <= this.#limit) break;
      this.#programs.delete(oldest);
      await unused.then(
        (old) => old.release(),
        () => undefined,
      );
    }
    return program;
  }

  /** Frees all programs. */
  async release(): Promise<void> {
    const programs = [...this.#programs.values()];
    this.#programs.clear();
    for (const program of await Promise.all(programs)) await program.release();
  }
}

/** A count whose changes are another's too. */
class SharedTally implements FlopTally {
  #flops = 0;

  constructor(readonly shared: FlopTally) {}

  get flops(): number {
    return this.#flops;
  }

  set flops(count: number) {
    this.shared.flops += count - this.#flops;
    this.#flops = count;
  }
}

/** Does something with programs of its own, and frees them however it ends. */
export async function withPrograms<T>(
  engine: EngineOptions | undefined,
  work: (programs: ProgramCache) => Promise<T>,
): Promise<T> {
  const programs = new ProgramCache(engine);
  try {
    return await work(programs);
  } finally {
    await programs.release();
  }
}
