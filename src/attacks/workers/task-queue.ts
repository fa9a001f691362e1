/** Work that several take from, and whose results may be more of it. */
export class TaskQueue<T> {
  readonly #pending: T[];
  #active = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(tasks: readonly T[]) {
    this.#pending = [...tasks];
  }

  /** Tasks that nobody has begun. */
  get left(): number {
    return this.#pending.length;
  }

  /** The next task, which {@link done} must be told of; undefined once all are done. While others may still give more, it waits. */
  async next(): Promise<T | undefined> {
    while (this.#pending.length === 0 && this.#active > 0) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    const task = this.#pending.shift();
    if (task !== undefined) this.#active++;
    return task;
  }

  /** A task is over. What it gave to do is done before all else. */
  done(more: readonly T[] = []): void {
    this.#active--;
    this.#pending.unshift(...more);
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
