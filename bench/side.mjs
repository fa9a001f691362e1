import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A process that does steps on demand: one line of JSON for each line it is sent. */
export class Side {
  #child;
  #lines;
  /** Loss of the last step. */
  loss;

  constructor(command, args) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Waits until the process is up; what it is. */
  async ready() {
    return (await this.#answer()).version;
  }

  /** Does some steps; their seconds. */
  async run(steps) {
    this.#child.stdin.write(`run ${steps}\n`);
    const { seconds, loss } = await this.#answer();
    if (!Number.isFinite(loss)) throw new Error(`expected a finite loss, got ${loss}: the times would mean nothing`);
    this.loss = loss;
    return seconds;
  }

  /** Ends the process; its peak resident memory in bytes. */
  async end() {
    this.#child.stdin.write('end\n');
    const { peakBytes } = await this.#answer();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    return peakBytes;
  }

  async #answer() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('a benchmark process ended early; its message is above');
    return JSON.parse(value);
  }
}
