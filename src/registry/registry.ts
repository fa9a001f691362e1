import { OptionError, WeightlockError } from './errors.js';
import { suggest } from './suggest.js';

/** Whatever a {@link Registry} can hold. */
export interface Named {
  /** Unique in its registry. */
  readonly name: string;
}

/**
 * Named entries of one kind: architectures, optimizers, lock methods, attacks, data sets.
 *
 * @example
 * const schedules = new Registry('schedule', [{ name: 'cosine' }]);
 * schedules.get('cosin'); // InputError: schedule: expected one of cosine, found "cosin"; did you mean "cosine"?
 */
export class Registry<T extends Named> {
  readonly #entries = new Map<string, T>();

  /**
   * @param kind - What the entries are, in the singular, as error messages call it: `optimizer`.
   * @param entries - Registered in this order.
   * @throws WeightlockError when two entries have the same name.
   */
  constructor(
    readonly kind: string,
    entries: Iterable<T> = [],
  ) {
    for (const entry of entries) this.register(entry);
  }

  /**
   * Adds an entry.
   *
   * @throws WeightlockError when the name is taken.
   */
  register(entry: T): void {
    if (this.#entries.has(entry.name)) {
      throw new WeightlockError(
        `${this.kind}: expected a new name, ${JSON.stringify(entry.name)} is registered already`,
      );
    }
    this.#entries.set(entry.name, entry);
  }

  /**
   * Finds an entry by its exact name.
   *
   * @param option - Key of the option that names it, as error messages call it; default the kind.
   * @throws OptionError that lists the known names and suggests the nearest one.
   */
  get(name: string, option: string = this.kind): T {
    const entry = this.#entries.get(name);
    if (entry) return entry;
    const near = suggest(name, this.names());
    throw new OptionError(
      option,
      `expected one of ${this.names().join(', ')}, found ${JSON.stringify(name)}` +
        (near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`),
    );
  }

  /** The names, in the order of registration. */
  names(): string[] {
    return [...this.#entries.keys()];
  }

  /** The entries, in the order of registration. */
  entries(): T[] {
    return [...this.#entries.values()];
  }
}
