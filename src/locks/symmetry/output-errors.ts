import { allocateBatch } from '../../data/index.js';
import { fromFloat32, type StoredDType, toFloat32 } from '../../formats/index.js';
import { RandomStream } from '../../linalg/index.js';
import { parameterSet, type StateDict } from '../../models/index.js';
import { type ArraySpecs, type Batch, batchSpecs } from '../../nn/index.js';
import { Evaluator, type ParameterSet } from '../../training/index.js';
import type { LockContext } from '../lock-method.js';

const types: Readonly<Record<string, StoredDType>> = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' };
/** Examples of noise, and tokens of each. */
const [EXAMPLES, TOKENS] = [4, 8];

/** Of one type, as a share of the largest output; null: some outputs are not finite. */
export type OutputError = { readonly original: number | null; readonly locked: number | null };

/**
 * How far the outputs move when weights are stored as float32, float16 or bfloat16, on noise: the largest difference from the outputs
 * of the original as it was, as a share of their largest. Of the lock, `locked`; beside it what the same type does to the original.
 */
export class OutputErrors {
  readonly #evaluator: Evaluator;
  readonly #specs: ArraySpecs;
  readonly #batch: Batch;
  readonly #originals: Record<string, number | null> = {};
  #outputs: Float32Array = new Float32Array();

  constructor({ model, engine }: Pick<LockContext, 'model' | 'engine'>) {
    this.#evaluator = new Evaluator(model, engine);
    const layout = Object.fromEntries(
      Object.entries(model.inputs).map(([name, { shape, dtype }]) => [
        name,
        { shape: shape.map((length) => length ?? TOKENS), dtype },
      ]),
    );
    this.#specs = batchSpecs(layout, EXAMPLES);
    this.#batch = allocateBatch(this.#specs);
    fillWithNoise(this.#batch, vocabularyOf(model.config));
  }

  /** Looks at the weights before the lock. */
  async before(weights: StateDict): Promise<void> {
    this.#outputs = await this.#forward(parameterSet(weights));
    for (const [type, dtype] of Object.entries(types)) this.#originals[type] = await this.#error(weights, dtype);
  }

  /** Looks at them after it. */
  async after(weights: StateDict): Promise<Record<string, OutputError>> {
    const found: Record<string, OutputError> = {};
    for (const [type, dtype] of Object.entries(types)) {
      found[type] = { original: this.#originals[type], locked: await this.#error(weights, dtype) };
    }
    return found;
  }

  /** Frees what was made for it. */
  release(): Promise<void> {
    return this.#evaluator.release();
  }

  async #error(weights: StateDict, dtype: StoredDType): Promise<number | null> {
    const stored = new Map(
      [...weights].map(([name, { shape, data }]) => [
        name,
        dtype === 'F32' ? data : toFloat32(fromFloat32(data, { name, dtype, shape })),
      ]),
    );
    const outputs = await this.#forward(stored);
    if (!outputs.every(Number.isFinite)) return null;
    let [worst, most] = [0, 0];
    for (let i = 0; i < outputs.length; i++) {
      worst = Math.max(worst, Math.abs(outputs[i] - this.#outputs[i]));
      most = Math.max(most, Math.abs(this.#outputs[i]));
    }
    return most > 0 ? worst / most : worst;
  }

  async #forward(params: ParameterSet): Promise<Float32Array> {
    return (await this.#evaluator.forward(params, this.#batch, this.#specs)).values.slice();
  }
}

/** Normal pixels; words at random, without padding, of one segment. */
function fillWithNoise(batch: Batch, words: number): void {
  for (const [name, values] of Object.entries(batch)) {
    const stream = new RandomStream(1, `output errors ${name}`);
    if (values instanceof Float32Array) stream.fillNormal(values, 0, 1);
    else if (name === 'attention_mask') (values as BigInt64Array).fill(1n);
    else if (name === 'input_ids' && words > 0) {
      for (let i = 0; i < values.length; i++) (values as BigInt64Array)[i] = BigInt(stream.integer(words));
    }
  }
}

/** How many words a model of texts knows; 0 of images. */
function vocabularyOf(config: unknown): number {
  const { vocab_size } = config as { vocab_size?: unknown };
  return typeof vocab_size === 'number' ? vocab_size : 0;
}
