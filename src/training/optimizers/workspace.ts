/** Working arrays by name and length, so that a step allocates none. */
export class Workspace {
  readonly #arrays = new Map<string, Float64Array>();

  /** An array of this name and length; what it holds is what was last written to it. */
  take(name: string, length: number): Float64Array {
    const key = `${name} ${length}`;
    const known = this.#arrays.get(key);
    if (known) return known;
    const made = new Float64Array(length);
    this.#arrays.set(key, made);
    return made;
  }
}
