import { InterruptedError } from '../../registry/index.js';

/** One who waits to be let in. */
interface Waiting {
  readonly bytes: number;
  enter(): void;
}

/**
 * Lets jobs begin side by side as far as memory holds them, in the order in which they come, so that none is killed for want of it;
 * one alone begins in any case.
 */
export class MemoryGate {
  #held = 0;
  #inside = 0;
  readonly #waiting: Waiting[] = [];

  /**
   * @param free - Bytes for all jobs together.
   * @param onWait - Hears the first time that a job has to wait, how many are inside then.
   */
  constructor(
    private readonly free: number,
    private onWait?: (inside: number) => void,
  ) {}

  /**
   * Waits until memory holds a job.
   *
   * @param bytes - That it takes.
   * @returns To be called when it has ended.
   * @throws InterruptedError after the signal.
   */
  async enter(bytes: number, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw new InterruptedError('interrupted');
    if (this.#waiting.length > 0 || !this.#holds(bytes)) {
      this.onWait?.(this.#inside);
      this.onWait = undefined;
      await this.#wait(bytes, signal);
    } else this.#begin(bytes);
    return () => {
      this.#held -= bytes;
      this.#inside--;
      this.#letIn();
    };
  }

  #begin(bytes: number): void {
    this.#held += bytes;
    this.#inside++;
  }

  #holds(bytes: number): boolean {
    return this.#inside === 0 || this.#held + bytes <= this.free;
  }

  #letIn(): void {
    for (let [first] = this.#waiting; first && this.#holds(first.bytes); [first] = this.#waiting) {
      this.#waiting.shift();
      this.#begin(first.bytes);
      first.enter();
    }
  }

  #wait(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        bytes,
        enter: () => {
          signal.removeEventListener('abort', leave);
          resolve();
        },
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(new InterruptedError('interrupted'));
        this.#letIn();
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiting);
    });
  }
}
