import { describeNotFinite, findNotFinite } from '../formats/index.js';
import { RandomStream } from '../linalg/index.js';
import type { StateSpec } from '../nn/index.js';
import { InputError, quote } from '../registry/index.js';

/** One named entry of a state dict, a parameter or not: row-major float32 values. */
export interface Weight {
  /** Shape. */
  readonly shape: readonly number[];
  /** Values; training changes them in place. */
  readonly data: Float32Array;
}

/** All weights of a model by their names in the original framework, in file order. */
export type StateDict = ReadonlyMap<string, Weight>;

/** Shapes of weights by name, in file order: what is known of them before they are read. */
export type WeightShapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** The values alone, as optimizers take them. */
export function parameterSet(weights: StateDict): Map<string, Float32Array> {
  return new Map([...weights].map(([name, { data }]) => [name, data]));
}

/** A copy that shares nothing with the original. */
export function cloneWeights(weights: StateDict): Map<string, Weight> {
  return new Map([...weights].map(([name, { shape, data }]) => [name, { shape, data: data.slice() }]));
}

/**
 * Draws first values; each entry has a random stream of its own, named after it.
 *
 * @throws InputError when the values do not fit in the free memory.
 */
export function initializeWeights(specs: readonly StateSpec[], seed: number): Map<string, Weight> {
  requireRoom(specs);
  return new Map(
    specs.map(({ name, shape, initializer }) => {
      const data = new Float32Array(shape.reduce((product, length) => product * length, 1));
      initializer(data, shape, new RandomStream(seed, `initialize ${name}`));
      return [name, { shape, data }];
    }),
  );
}

function requireRoom(specs: readonly StateSpec[]): void {
  const bytes = ({ shape }: StateSpec) => 4 * shape.reduce((product, length) => product * length, 1);
  const total = specs.reduce((sum, spec) => sum + bytes(spec), 0);
  const free = process.availableMemory();
  if (total <= free) return;
  const largest = specs.reduce((a, b) => (bytes(b) > bytes(a) ? b : a));
  const [needed, found] = [total, free].map((count) => `${Math.ceil(count / 1e6)} MB`);
  throw new InputError(
    `config: expected weights that fit in the free memory, ${found}, found ${needed}; the largest is ${largest.name} [${largest.shape}]`,
  );
}

/**
 * Checks that a state dict has exactly what an architecture declares. Counters may be missing: PyTorch before 0.4.1 had
 * none, and loads such files still.
 *
 * @param source - File or folder, for the message.
 * @throws InputError naming the first tensor that is missing, unknown, or of another shape.
 */
export function requireWeights(
  weights: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  specs: readonly StateSpec[],
  source: string,
): void {
  for (const { name, shape, kind } of specs) {
    const weight = weights.get(name);
    if (!weight && kind === 'counter') continue;
    if (!weight) throw new InputError(`${source}: expected a tensor ${name} [${shape}], found none`);
    if (String(weight.shape) !== String(shape)) {
      throw new InputError(`${source}: expected ${name} to be [${shape}], found [${weight.shape}]`);
    }
  }
  const known = new Set(specs.map((spec) => spec.name));
  for (const name of weights.keys()) {
    if (!known.has(name))
      throw new InputError(`${source}: expected no tensor ${name}, the architecture has none of that name`);
  }
}

/**
 * Refuses a weight that holds NaN or infinities: whatever is computed from it is NaN as well.
 *
 * @param name - The tensor's name in the file.
 * @param source - The file, for the message.
 * @throws InputError naming the tensor, its first such value and where it is.
 */
export function requireFinite(name: string, { shape, data }: Weight, source: string): void {
  const bad = findNotFinite(data, shape);
  if (!bad) return;
  const found = describeNotFinite(bad);
  throw new InputError(`${source}: tensor ${quote(name)}: expected finite float32 values, found ${found}`);
}
