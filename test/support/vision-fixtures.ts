import { sizeOf } from '../../src/graph/index.js';
import { type ModelSpec, modelState, type StateDict } from '../../src/models/index.js';
import { hashed, readFixture } from './linalg-fixtures.js';

/** Norm, projection on hashes, and four elements of a tensor. */
export type Digest = number[];

/** A model of tools/oracles/vision_models.py and what PyTorch computes with it. */
export interface VisionCase {
  config: Record<string, unknown>;
  input: number[];
  inputSeed: number;
  evaluation: number[];
  training: number[];
  loss: number;
  gradients: Record<string, Digest>;
  buffers: Record<string, Digest>;
}

export const { seed, cases } = readFixture<{ seed: number; cases: VisionCase[] }>('vision-models');

/** The inputs of a case, `[batch, channels, height, width]`. */
export function inputsOf({ input, inputSeed }: Pick<VisionCase, 'input' | 'inputSeed'>): Float32Array {
  return Float32Array.from(hashed(inputSeed, sizeOf(input)));
}

/** The weights that an oracle gives a model: by kind of entry, one seed a name in sorted order. */
export function hashedWeights(spec: ModelSpec, first = seed): StateDict {
  const state = modelState(spec);
  const order = state.map(({ name }) => name).sort();
  return new Map(
    state.map(({ name, shape, kind }) => {
      const values = hashed(first + order.indexOf(name), sizeOf(shape));
      const inputs = Math.max(sizeOf(shape.slice(1)), 2);
      const scale = 2 ** (1 - Math.ceil(Math.log2(Math.sqrt(inputs))));
      const centred = !/(running_var|weight)$/.test(name);
      const data = Float32Array.from(values, (h) => {
        if (kind === 'counter') return 3;
        if (shape.length >= 2) return h * scale;
        if (name.endsWith('bn3.weight')) return (1 + h / 2) / 8;
        return centred ? h / 4 : 1 + h / 2;
      });
      return [name, { shape, data }];
    }),
  );
}

/** An error of a tensor against its digest, and of which number of it. */
export interface DigestError {
  error: number;
  where: string;
}

/**
 * The largest error of tensors against their digests: of the norm and the projection relative to the tensor's norm, of an
 * element relative to itself or, where it is smaller, to the tensor's root mean square.
 *
 * @param zero - Root mean square below which a tensor is zero but for rounding, and compared as if it had this one.
 * @param first - The oracle's seed.
 */
export function worstOfDigests(
  found: ReadonlyMap<string, Float32Array>,
  expected: Readonly<Record<string, Digest>>,
  zero: number,
  first = seed,
): DigestError {
  const names = Object.keys(expected).sort();
  let worst: DigestError = { error: 0, where: 'none' };
  names.forEach((name, index) => {
    const [norm, projection, ...elements] = expected[name];
    const values = found.get(name);
    if (!values) {
      worst = { error: Number.POSITIVE_INFINITY, where: `${name}, which is missing` };
      return;
    }
    const along = hashed(first + 9000 + index, values.length);
    const rms = Math.max(norm / Math.sqrt(values.length), zero);
    const whole = rms * Math.sqrt(values.length);
    const compare = (what: string, a: number, b: number, scale: number) => {
      const error = Math.abs(a - b) / scale;
      if (!(error <= worst.error)) worst = { error, where: `${name}, ${what}: ${a}, expected ${b}` };
    };
    compare('norm', Math.sqrt(values.reduce((sum, v) => sum + v * v, 0)), norm, whole);
    compare(
      'projection',
      values.reduce((sum, v, i) => sum + v * along[i], 0),
      projection,
      whole,
    );
    elements.forEach((element, i) => {
      const at = Math.floor(((i + 0.5) * values.length) / elements.length);
      compare(`element ${at}`, values[at], element, Math.max(Math.abs(element), rms));
    });
  });
  return worst;
}

/** What a case is of, and the shape of its batch. */
export function nameOf({ config, input }: VisionCase): string {
  return `${config.architecture ?? config.model_type} ${config.stem ?? ''} [${input}]`;
}

/** Whether a case is checked among the slow tests: a deep network of blocks that a shorter one has too. */
export function takesLong({ config }: VisionCase): boolean {
  return config.architecture === 'resnet34';
}
