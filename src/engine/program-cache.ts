import { totalmem } from 'node:os';
import { mostHeld, type Tensor } from '../graph/index.js';
import { compile, type EngineOptions, type FlopTally, type Program } from './program.js';

/** Programs that a cache keeps: batches of many shapes have one each. */
const defaultLimit = 64;
/** Share of the machine's memory that they may hold: a session keeps what its largest run took. */
const memoryShare = 1 / 3;

/** Bytes that the programs of one process may hold together, unless it is told otherwise. */
export function programMemory({ memory }: EngineOptions): number {
  return memory ?? memoryShare * totalmem();
}

/** Bytes of an element, near enough for what a run takes. */
const elementBytes = 4;

/** A program, and what it holds. */
interface Kept {
  readonly program: Promise<Program>;
  readonly bytes: number;
}

/**
 * Compiled programs by key, so that many runs of one architecture share one session (sessions are slow to make, and
 * making them over and over leaks memory in ONNX Runtime). A program serves one run at a time. A bounded number is kept, that holds a bounded
 * share of memory: the one that was longest unused goes, so ask for a program each time that it is run.
 */
export class ProgramCache {
  readonly #programs = new Map<string, Kept>();
  readonly #limit: number;
  readonly #mostBytes: number;
  readonly #tally: FlopTally;

  /**
   * @param engine - Threads and device of all programs, and the memory that they may hold together, as far as graphs tell, the one
   *   used last aside.
   * @param options - `limit`: how many programs are kept; default 64.
   */
  constructor(
    readonly engine: EngineOptions = {},
    { limit = defaultLimit }: { limit?: number } = {},
  ) {
    this.#limit = limit;
    this.#mostBytes = programMemory(engine);
    this.#tally = engine.tally ? new SharedTally(engine.tally) : { flops: 0 };
  }

  /** Floating-point operations of all runs of its programs so far, those that it has let go too. */
  get flops(): number {
    return this.#tally.flops;
  }

  /** The program of a key, compiled from `outputs()` at its first use. */
  async get(key: string, outputs: () => Readonly<Record<string, Tensor>>): Promise<Program> {
    const kept = this.#programs.get(key) ?? this.#compiled(outputs());
    // Last in the map: the one used last.
    this.#programs.delete(key);
    this.#programs.set(key, kept);
    let held = [...this.#programs.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    for (const [oldest, { program, bytes }] of this.#programs) {
      const { size } = this.#programs;
      if (size === 1 || (size <= this.#limit && held <= this.#mostBytes)) break;
      this.#programs.delete(oldest);
      held -= bytes;
      await program.then(
        (old) => old.release(),
        () => undefined,
      );
    }
    return kept.program;
  }

  #compiled(outputs: Readonly<Record<string, Tensor>>): Kept {
    return {
      program: compile(outputs, this.engine, this.#tally),
      bytes: elementBytes * mostHeld(Object.values(outputs)),
    };
  }

  /** Frees all programs. */
  async release(): Promise<void> {
    const programs = [...this.#programs.values()].map(({ program }) => program);
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
