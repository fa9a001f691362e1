import { fitColumns, printable, printableJson, printableLines } from '../report/index.js';

/** The part of a stream that the command line writes to. */
export interface TextStream {
  /** Writes text. */
  write(text: string): unknown;
  /** Whether a terminal shows it. */
  readonly isTTY?: boolean;
  /** Width of that terminal. */
  readonly columns?: number;
  /** Hears of a write error. */
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/**
 * Results on stdout, everything about the work on stderr. Keeps one live line (progress) at the foot of the terminal and
 * takes it away before anything else is printed.
 *
 * The one place where text reaches a terminal, so the place that makes it harmless: names of tensors, files and classes
 * come from strangers, and one with an escape sequence could move the cursor, retitle the window or fake a result.
 */
export class Output {
  readonly #stdout: TextStream;
  readonly #stderr: TextStream;
  #live = false;

  constructor({ stdout, stderr }: { stdout: TextStream; stderr: TextStream }) {
    this.#stdout = guard(stdout);
    this.#stderr = guard(stderr);
  }

  /** Whether stderr is a terminal, on which a line can be rewritten. */
  get isTerminal(): boolean {
    return this.#stderr.isTTY === true;
  }

  /** Writes text to stdout, with a newline at its end; unprintable characters as `�`. */
  print(text: string): void {
    this.clearLive();
    this.#stdout.write(ended(printableLines(text)));
  }

  /** Writes a piece of a text to stdout as it is, but for unprintable characters, which are `�`. */
  write(text: string): void {
    if (text === '') return;
    this.clearLive();
    this.#stdout.write(printableLines(text));
  }

  /** Writes JSON to stdout, with a newline at its end; unprintable characters as escapes, so that its values stay. */
  json(text: string): void {
    this.clearLive();
    this.#stdout.write(ended(printableJson(text)));
  }

  /** Writes text to stderr, with a newline at its end; unprintable characters as `�`. */
  note(text: string): void {
    this.clearLive();
    this.#stderr.write(ended(printableLines(text)));
  }

  /** Shows a line that the next one replaces; only for terminals. */
  live(line: string): void {
    // A wrapped line could not be rewritten; the last column stays free, since some terminals wrap right after it.
    this.#stderr.write(`\r\u001b[2K${fitColumns(printable(line), Math.max(1, (this.#stderr.columns ?? 80) - 1))}`);
    this.#live = true;
  }

  /** Takes the live line away. */
  clearLive(): void {
    if (this.#live) this.#stderr.write('\r\u001b[2K');
    this.#live = false;
  }
}

function ended(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}

/**
 * Goes quiet once the reader is gone (`weightlock lock ... | head`): a long run must not die of it. Other errors of the
 * stream, such as a full disk behind a redirection, are thrown.
 */
function guard(stream: TextStream): TextStream {
  let gone = false;
  stream.on('error', (error) => {
    if (!('code' in error) || error.code !== 'EPIPE') throw error;
    gone = true;
  });
  return {
    write: (text) => (gone ? false : stream.write(text)),
    on: (event, listener) => stream.on(event, listener),
    get isTTY() {
      return stream.isTTY;
    },
    get columns() {
      return stream.columns;
    },
  };
}
