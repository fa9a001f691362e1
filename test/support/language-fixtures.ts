import { compile } from '../../src/engine/index.js';
import {
  crossEntropy,
  gradients,
  mul,
  reduceSum,
  reshape,
  rounded,
  sizeOf,
  type Tensor,
  type TypedArray,
} from '../../src/graph/index.js';
import { type ModelSpec, modelState, readConfig, type StateDict } from '../../src/models/index.js';
import { type ArraySpecs, feedsOf } from '../../src/nn/index.js';
import { hashed, readFixture } from './linalg-fixtures.js';
import type { Digest } from './vision-fixtures.js';

/** A model of tools/oracles/language_models.py and what transformers computes with it. */
export interface LanguageCase {
  class: string;
  kind: string;
  config: Record<string, unknown>;
  /** Keys that hold shares of dropout. */
  dropouts: string[];
  /** How each of its parameters begins, by its name. */
  first: Record<string, { constant: number } | { normal: true; zeros: number[] }>;
  batch: { output: number[]; loss: number };
  alone: { output: number[]; loss: number };
  gradients: Record<string, Digest>;
  training: { loss: number; masks: number };
}

/** A family's cases, with the texts that all are computed of. */
export interface LanguageFixture {
  seed: number;
  texts: number[][];
  types: number[][];
  single: { text: number[]; types: number[] };
  dropout: number;
  /** Of deberta-v2: the buckets of the distances from 0 on. */
  logBuckets?: { buckets: number; most: number; of: number[] }[];
  cases: LanguageCase[];
}

export const readLanguageFixture = (family: string): LanguageFixture => readFixture(`language-models/${family}`);

/** The model of a case; shares of dropout as given, by default none. */
export function specOf({ config, dropouts }: LanguageCase, share = 0): ModelSpec {
  return readConfig({ ...config, ...Object.fromEntries(dropouts.map((key) => [key, share])) }, 'fixture');
}

/** The weights that the oracle gives a model: one seed a name in sorted order. */
export function hashedParameters(spec: ModelSpec, seed: number): StateDict {
  const state = modelState(spec);
  const order = state.map(({ name }) => name).sort();
  return new Map(
    state.map(({ name, shape }) => {
      const inputs = Math.max(sizeOf(shape.slice(1)), 2);
      const scale = 2 ** (1 - Math.ceil(Math.log2(Math.sqrt(inputs))));
      const data = Float32Array.from(hashed(seed + order.indexOf(name), sizeOf(shape)), (h) => {
        if (shape.length >= 2) return h * scale;
        return name.endsWith('weight') ? 1 + h / 2 : h / 4;
      });
      return [name, { shape, data }];
    }),
  );
}

/** Texts padded to one length, as a batch has them. */
export interface PaddedTexts {
  readonly texts: readonly (readonly number[])[];
  readonly types: readonly (readonly number[])[];
  /** Tokens of the batch; default the longest text's. */
  readonly length?: number;
  /** Where the padding is; default right. */
  readonly side?: 'left' | 'right';
  /** The number of padding; default 0. */
  readonly padding?: number;
}

/** Rows of numbers, padded. */
function padded(rows: readonly (readonly number[])[], fill: number, { length, side, texts }: PaddedTexts): bigint[] {
  const width = length ?? Math.max(...texts.map((text) => text.length));
  return rows.flatMap((row) => {
    const pads = Array<number>(width - row.length).fill(fill);
    return (side === 'left' ? [...pads, ...row] : [...row, ...pads]).map(BigInt);
  });
}

/** The arrays of a batch of texts. */
export function textBatch(given: PaddedTexts): { specs: ArraySpecs; batch: Record<string, BigInt64Array> } {
  const rows: Record<string, [readonly (readonly number[])[], number]> = {
    input_ids: [given.texts, given.padding ?? 0],
    attention_mask: [given.texts.map((text) => text.map(() => 1)), 0],
    token_type_ids: [given.types, 0],
  };
  const batch = Object.fromEntries(
    Object.entries(rows).map(([name, [values, fill]]) => [name, BigInt64Array.from(padded(values, fill, given))]),
  );
  const shape = [given.texts.length, batch.input_ids.length / given.texts.length];
  return { specs: Object.fromEntries(Object.keys(batch).map((name) => [name, { shape, dtype: 'int64' }])), batch };
}

/** What each token, or each text, is to be, as the oracle has it. */
function labelsOf(kind: string, given: PaddedTexts, size: number): bigint[] {
  if (kind === 'classifier') return given.texts.map((_, index) => BigInt(index % size));
  const chosen = (token: number, at: number) => (kind === 'token-classifier' || at % 2 === 1 ? token % size : -100);
  return padded(
    given.texts.map((text) => text.map(chosen)),
    -100,
    given,
  );
}

/** What a model gives for some texts. */
export interface Computed {
  /** Embeddings, or logits: of the classes, or of each token that is no padding. */
  readonly output: Float32Array;
  readonly loss: number;
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

const outputOf = (kind: string) => (kind === 'embedding' ? 'embedding' : 'logits');

/** Output, loss and gradients of some texts, as the oracle computes them. */
export async function compute(
  spec: ModelSpec,
  weights: StateDict,
  given: PaddedTexts,
  {
    training = false,
    seed,
    keep = 1,
    change = () => {},
    lossOf = (rows, target) => crossEntropy(reshape(rows, [-1, spec.head.size]), reshape(target, [-1])),
  }: {
    training?: boolean;
    seed: number;
    keep?: number;
    change?: (batch: Record<string, BigInt64Array>) => void;
    /** Loss of the logits, with what each text or token is to be; default their cross entropy. */
    lossOf?: (logits: Tensor, labels: Tensor) => Tensor;
  },
): Promise<Computed> {
  const { kind, size } = spec.head;
  const { specs, batch } = textBatch(given);
  change(batch);
  const { graph, scope, outputs } = spec.build(specs, { training });
  const output = outputs[outputOf(kind)];
  const labels = labelsOf(kind, given, size);
  let loss: Tensor;
  const fed: Record<string, TypedArray> = Object.fromEntries(
    Object.keys(spec.inputs).map((name) => [name, batch[name]]),
  );
  if (kind === 'embedding') {
    const factors = graph.constant(Array.from(hashed(seed + 5000, output.size)), output.shape);
    loss = reduceSum(mul(output, factors));
  } else {
    loss = lossOf(output, graph.constant(labels.map(Number), output.shape.slice(0, -1), 'int64'));
  }
  scope.masks.forEach(({ name, shape }, index) => {
    fed[name] = Float32Array.from(hashed(seed + 7000 + index, sizeOf(shape)), (h) => (h >= -0.5 ? 1 / keep : 0));
  });
  const inputs = [...scope.parameterInputs];
  const slopes = gradients(
    loss,
    inputs.map(([, tensor]) => tensor),
  );
  const found = Object.fromEntries(inputs.flatMap(([name], i) => (slopes[i] ? [[`grad ${name}`, slopes[i]]] : [])));
  const program = await compile({ loss, output, ...found } as Record<string, Tensor>, { threads: 1 });
  const values = await program.run(
    feedsOf(
      fed,
      [...weights].map(([name, { data }]) => [name, data] as const),
    ),
  );
  await program.release();
  const real = (values.output as Float32Array).filter(
    (_, at) => output.rank < 3 || batch.attention_mask[Math.floor(at / size)] !== 0n,
  );
  const gradientOf = (name: string) => (values[`grad ${name}`] as Float32Array | undefined)?.slice();
  return {
    output: real,
    loss: Number(values.loss[0]),
    gradients: new Map(
      inputs.flatMap(([name]) => (gradientOf(name) ? [[name, gradientOf(name) as Float32Array]] : [])),
    ),
  };
}

/** The output of some texts with every value rounded to 16 bits. */
export async function computeRounded(
  spec: ModelSpec,
  weights: StateDict,
  given: PaddedTexts,
  type: 'float16' | 'bfloat16',
): Promise<Float32Array> {
  const { specs, batch } = textBatch(given);
  const { outputs } = spec.build(specs);
  const program = await compile(rounded({ output: outputs[outputOf(spec.head.kind)] }, type), { threads: 1 });
  const fed = Object.fromEntries(Object.keys(spec.inputs).map((name) => [name, batch[name]]));
  const { output } = await program.run(
    feedsOf(
      fed,
      [...weights].map(([name, { data }]) => [name, data] as const),
    ),
  );
  const values = (output as Float32Array).slice();
  await program.release();
  return values;
}
