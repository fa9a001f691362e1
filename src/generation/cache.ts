import type { CacheShape } from '../models/index.js';
import type { Batch } from '../nn/index.js';

/** Names of the arrays of a layer's keys and values among a program's inputs and outputs. */
export function cacheNames(layer: number): { key: string; value: string } {
  return { key: `past.${layer}.key`, value: `past.${layer}.value` };
}

/** The output of a program that holds a new token's part of an array of the cache. */
export function newPart(name: string): string {
  return `next ${name}`;
}

/**
 * Keys and values of a text's tokens, `[1, heads, room, headWidth]` for each layer. Programs read them where they lie: a new
 * token is written behind the others, and nothing else is copied until there is no more room.
 */
export class KeyValueCache {
  #length = 0;
  #room = 0;
  #arrays = new Map<string, Float32Array>();

  constructor(readonly shape: CacheShape) {}

  /** How many tokens are in it. */
  get length(): number {
    return this.#length;
  }

  /** For how many tokens there is room. */
  get room(): number {
    return this.#room;
  }

  /** The arrays by name, as programs take them. */
  get arrays(): Batch {
    return Object.fromEntries(this.#arrays);
  }

  /** Makes room for so many tokens. */
  grow(room: number): void {
    const { layers, heads, headWidth } = this.shape;
    if (room <= this.#room) return;
    const grown = new Map<string, Float32Array>();
    for (let layer = 0; layer < layers; layer++) {
      for (const name of Object.values(cacheNames(layer))) {
        const array = new Float32Array(heads * room * headWidth);
        const old = this.#arrays.get(name);
        const used = this.#length * headWidth;
        for (let head = 0; old && head < heads; head++) {
          const from = head * this.#room * headWidth;
          array.set(old.subarray(from, from + used), head * room * headWidth);
        }
        grown.set(name, array);
      }
    }
    this.#arrays = grown;
    this.#room = room;
  }

  /**
   * Writes keys and values of new tokens behind the others.
   *
   * @param present - Each `[1, heads, tokens, headWidth]`, by {@link newPart}.
   * @param count - How many of these tokens count: the first ones.
   */
  append(present: Batch, count: number): void {
    const { heads, headWidth } = this.shape;
    for (const [name, array] of this.#arrays) {
      const values = present[newPart(name)] as Float32Array;
      const tokens = values.length / (heads * headWidth);
      for (let head = 0; head < heads; head++) {
        const from = head * tokens * headWidth;
        const to = (head * this.#room + this.#length) * headWidth;
        array.set(values.subarray(from, from + count * headWidth), to);
      }
    }
    this.#length += count;
  }
}
