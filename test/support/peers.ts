import { floatDataset, type LabelledDataset } from '../../src/data/index.js';
import { sizeOf } from '../../src/graph/index.js';
import { architectures, type ModelSpec, modelOf, modelState, type StateDict } from '../../src/models/index.js';
import { hashed, readFixture } from './linalg-fixtures.js';

/** Gradients by the names of the parameters. */
export type Gradients = Readonly<Record<string, readonly number[]>>;

interface Fixture {
  seed: number;
  batch: number;
  config: { input_shape: [number]; num_labels: number; hidden_sizes: number[] };
  repnoise: {
    noiseWeight: number;
    ascentWeight: number;
    noise: number;
    ascent: number;
    term: number;
    gradients: Gradients;
  }[];
  tar: {
    resistance: 'entropy' | 'cross-entropy';
    steps: number;
    every: number;
    decay: number;
    weight: number;
    learningRate: number;
    attackedLoss: number;
    term: number;
    gradients: Gradients;
  }[];
  distance: { distance: number; gradients: Gradients };
  immunize: {
    cases: {
      rows: number;
      width: number;
      features: number[];
      condition: number;
      well: number;
      ill: number;
      wellSlope: number[];
      illSlope: number[];
    }[];
    well: { value: number; condition: number; rank: number; gradients: Gradients };
    ill: { value: number; condition: number; rank: number; gradients: Gradients };
  };
}

/** What tools/oracles/peers.py wrote. */
export const peers = readFixture<Fixture>('peers');

/** The network of the oracle, without weights. */
export const peerModel: ModelSpec = modelOf(
  architectures.get('mlp'),
  architectures.get('mlp').config.parse(peers.config),
);

/** Its weights, `moved` of them by a quarter of other hashes. */
export function peerWeights({ moved = false }: { moved?: boolean } = {}): StateDict {
  return new Map(
    modelState(peerModel).map(({ name, shape }, index) => {
      const data = Float32Array.from(hashed(peers.seed + index, sizeOf(shape)));
      const other = hashed(peers.seed + 500 + index, data.length);
      return [name, { shape, data: moved ? data.map((value, i) => value + other[i] / 4) : data }];
    }),
  );
}

/** A batch of the oracle as a data set, its examples at some positions of it. */
export function peerExamples(seeds: readonly number[], positions?: readonly number[]): LabelledDataset {
  const { batch, seed, config } = peers;
  const [width] = config.input_shape;
  const size = seeds.length * batch;
  const inputs = new Float32Array(size * width);
  const labels = new Int32Array(size);
  seeds.forEach((own, part) => {
    const x = hashed(seed + own, batch * width);
    const y = hashed(seed + own + 1, batch);
    for (let row = 0; row < batch; row++) {
      const at = positions?.[part * batch + row] ?? part * batch + row;
      inputs.set(x.subarray(row * width, (row + 1) * width), at * width);
      labels[at] = Math.floor(((y[row] + 1) / 2) * config.num_labels);
    }
  });
  const classes = Array.from({ length: config.num_labels }, (_, index) => String(index));
  return floatDataset({ name: 'hashed', shape: config.input_shape, inputs, labels, classes });
}

/** The largest error of gradients, as a share of the largest number of all. */
export function gradientError(
  found: ReadonlyMap<string, Float32Array>,
  expected: Gradients,
): { error: number; of: string } {
  const largest = Math.max(...Object.values(expected).flatMap((values) => values.map(Math.abs)));
  let worst = { error: 0, of: '' };
  for (const [name, values] of Object.entries(expected)) {
    values.forEach((value, index) => {
      const error = Math.abs((found.get(name)?.[index] ?? Number.NaN) - value) / largest;
      if (!(error <= worst.error)) worst = { error, of: `${name} ${index}` };
    });
  }
  return worst;
}

/** Zeros in the shape of the weights, for gradients to be added to. */
export function noGradients(weights: StateDict = peerWeights()): Map<string, Float32Array> {
  return new Map([...weights].map(([name, { data }]) => [name, new Float32Array(data.length)]));
}
