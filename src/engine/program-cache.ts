import type { Tensor } from '../graph/index.js';
import { compile, type EngineOptions, type Program } from './program.js';

/**
 * Compiled programs by key, so that many runs of one architecture share one session (sessions are slow to make, and
 * making them over and over leaks memory in ONNX Runtime). A program serves one run at a time.
 */
export class ProgramCache {
  readonly #programs = new Map<string, Promise<Program>>();

  /** @param engine - Threads and device of all programs. */
  constructor(readonly engine: EngineOptions = {}) {}

  /** The program of a key, compiled from `outputs()` at its first use. */
  get(key: string, outputs: () => Readonly<Record<string, Tensor>>): Promise<Program> {
    const known = this.#programs.get(key);
    if (known) return known;
    const program = compile(outputs(), this.engine);
    this.#programs.set(key, program);
    return program;
  }

  /** Frees all programs. */
  async release(): Promise<void> {
    const programs = [...this.#programs.values()];
    this.#programs.clear();
    for (const program of await Promise.all(programs)) await program.release();
  }
}
