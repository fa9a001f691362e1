/** Base of every error that weightlock raises on purpose. Its message is one line: what was expected, what came, where. */
export class WeightlockError extends Error {
  /** The process exit code a command ends with: 1 a checked property does not hold, 2 wrong usage or bad input, 130 interrupted. */
  readonly exitCode: 1 | 2 | 130 = 1;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A file, an option or a value from outside is not what it must be (exit code 2). */
export class InputError extends WeightlockError {
  override readonly exitCode = 2;
}

/** An option is not what it must be, by its key, so that a command can say which flag or file it came from (exit code 2). */
export class OptionError extends InputError {
  /**
   * @param key - Key of the option, groups joined by dots: `erase.include`.
   * @param complaint - What was expected and what came.
   */
  constructor(
    readonly key: string,
    readonly complaint: string,
    options?: ErrorOptions,
  ) {
    super(`${key}: ${complaint}`, options);
  }
}

/** Does something with the value of an option, and says which option it was where that fails. */
export async function forOption<T>(key: string, act: () => T | Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof InputError) || error instanceof OptionError) throw error;
    throw new OptionError(key, error.message, { cause: error });
  }
}

/** A file or folder cannot be written (exit code 2): its path, and what the file system says. */
export class OutputError extends InputError {}

/** The user stopped the work (exit code 130); what was done of a run is on disk, and the same command resumes it. */
export class InterruptedError extends WeightlockError {
  override readonly exitCode = 130;
}
