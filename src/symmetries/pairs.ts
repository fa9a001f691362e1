import { ancestors, type Tensor } from '../graph/index.js';
import { type ModelSpec, smallestBatch } from '../models/index.js';
import type { ArraySpecs, LayerUse } from '../nn/index.js';
import { taskOf } from '../tasks/index.js';
import type { LinearRef } from './linear.js';

/** Two layers of which the second alone reads what the first gives, each of its units by itself. */
export interface LayerPair {
  /** The layer whose outputs are the units. */
  readonly into: LinearRef;
  /** The layer that reads them, a number of neighbouring inputs each. */
  readonly out: LinearRef;
  /** What is done to a unit between the two: nothing, what a positive factor goes through, or something else. */
  readonly between: 'nothing' | 'homogeneous' | 'other';
  /** Prefix of the state of a batch norm between them; none in most. */
  readonly norm?: string;
  /** What the second layer reads, in the graph that was looked at. */
  readonly units: Tensor;
}

/** Operators that do the same to each unit by itself; the true ones let a positive factor through. */
const unitwise: ReadonlyMap<string, boolean> = new Map([
  ['Relu', true],
  ['MaxPool', true],
  ['Gelu', false],
  ['Tanh', false],
  ['Sigmoid', false],
]);

/** What a pool behind a convolution may be written with, and a flattening: channels stay apart. */
const ofMaps = new Set(['Reshape', 'Transpose', 'Split', 'Less', 'Where']);

/**
 * The pairs of layers of a network that meet in units, in the order of computation: of an MLP all neighbours, of a residual block
 * with batch norm the inner ones, of a transformer those of its feed-forward layers that have no gates.
 *
 * @param batch - Arrays of the batch that is looked at; default the smallest.
 */
export function layerPairs(model: ModelSpec, batch: ArraySpecs = smallestBatch(model)): LayerPair[] {
  const { outputs, scope } = model.build(batch);
  const output = outputs[taskOf(model).output];
  const nodes = ancestors([output]);
  const uses = new Map<string, number>();
  for (const { weight } of scope.layers) uses.set(weight, (uses.get(weight) ?? 0) + 1);
  const isPlain = ({ weight, convolution }: LayerUse) => uses.get(weight) === 1 && (convolution?.groups ?? 1) === 1;
  const readBy = new Map(scope.layers.map((layer) => [layer.input, layer]));
  return scope.layers.filter(isPlain).flatMap((into): LayerPair[] => {
    const reached = new Set<Tensor>([into.output]);
    const exits: Tensor[] = [];
    const done: string[] = [];
    let norm: string | undefined;
    for (const { op, inputs, outputs: given } of nodes) {
      const own = inputs.filter((input) => input !== undefined && reached.has(input)) as Tensor[];
      if (own.length === 0) continue;
      const isNorm = op === 'BatchNormalization' && norm === undefined && done.length === 0;
      const isUnitwise = unitwise.has(op) || (ofMaps.has(op) && into.convolution !== undefined);
      if (own.some((input) => readBy.has(input)) || !(isNorm || (isUnitwise && own.length === inputs.length))) {
        exits.push(...own);
        continue;
      }
      if (isNorm) norm = normName(inputs[1]);
      done.push(op);
      for (const tensor of given) reached.add(tensor);
    }
    const [units] = exits;
    const out = units && readBy.get(units);
    // A second reader, such as a residual sum, would notice; so would whoever takes the output.
    if (exits.length !== 1 || !out || !isPlain(out) || reached.has(output)) return [];
    const bending = done.filter((op) => !ofMaps.has(op));
    const isScaled = bending.every((op) => op === 'BatchNormalization' || unitwise.get(op));
    const between = bending.length === 0 ? 'nothing' : isScaled ? 'homogeneous' : 'other';
    return pairOf(into, out, { between, norm, units });
  });
}

/** Prefix of the state of a batch norm, from its gain. */
function normName(gain: Tensor | undefined): string {
  return gain?.source.kind === 'input' ? gain.source.name.replace(/^weight\/(.*)\.weight$/, '$1') : '';
}

function pairOf(into: LayerUse, out: LayerUse, found: Pick<LayerPair, 'between' | 'norm' | 'units'>): LayerPair[] {
  // Inputs of a convolution are its channels; of a linear layer behind one, channels times places.
  const channels = into.convolution ? into.output.shape[1] : into.output.shape[into.output.rank - 1];
  const read = out.convolution ? out.input.shape[1] : out.input.shape[out.input.rank - 1];
  const { norm, ...rest } = found;
  const isWhole = into.convolution && !out.convolution ? read % channels === 0 : read === channels;
  return isWhole ? [{ into: refOf(into), out: refOf(out), ...rest, ...(norm !== undefined && { norm }) }] : [];
}

const refOf = ({ weight, bias, isTransposed }: LayerUse): LinearRef => ({
  weight,
  ...(bias !== undefined && { bias }),
  ...(isTransposed && { isTransposed }),
});
