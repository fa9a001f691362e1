import type { ModelSpec, WeightShapes } from '../models/index.js';
import { type LinearRef, sidesOf } from './linear.js';
import type { Block, Place, Slot, Unit } from './moves.js';
import { type LayerPair, layerPairs } from './pairs.js';
import { type AttentionStructure, type BatchNormStructure, type NormStructure, structureOf } from './structure.js';

/** What kinds of places there are where a network can be written otherwise. */
export const jointKinds = [
  'values',
  'scores',
  'rotary',
  'query norms',
  'norms',
  'batch norms',
  'batch norm gains',
  'gates',
  'rectified',
  'linear',
] as const;

/** Name of a kind of joint. */
export type JointKind = (typeof jointKinds)[number];

/** Where a positive factor for each unit may stand between layers. */
export interface UnitJoint {
  /** Factors alone. */
  readonly form: 'units';
  /** What kind of place it is. */
  readonly kind: JointKind;
  /** Kind and first weight, which no other joint of the model has. */
  readonly name: string;
  /** Its factors, one each. */
  readonly units: readonly Unit[];
}

/** Where any invertible matrix may stand between layers, one for each block. */
export interface MatrixJoint {
  /** Any invertible matrix. */
  readonly form: 'matrix';
  /** What kind of place it is. */
  readonly kind: JointKind;
  /** Kind and first weight, which no other joint of the model has. */
  readonly name: string;
  /** Sides of each matrix. */
  readonly width: number;
  /** One for each head of keys and values. */
  readonly blocks: readonly Block[];
}

/** A place where a network can be written otherwise and stays the same function. */
export type Joint = UnitJoint | MatrixJoint;

/**
 * All places of a network where something may stand between layers together with its inverse: a matrix between values and outputs of a
 * head, and between its queries and keys where no positions turn them; a factor for each pair that positions turn, for each gain of a
 * norm, channel of a batch norm, unit of a gated layer and unit behind a ReLU.
 */
export function jointsOf(model: ModelSpec, weights: WeightShapes): Joint[] {
  const { attentions, norms, gates, batchNorms, gainOffset } = structureOf(model, weights);
  const linear = (ref: LinearRef) => sidesOf(weights, ref);
  return [
    ...attentions.flatMap((attention) => attentionJoints(attention, linear, gainOffset)),
    ...norms.map((norm) => normJoint(norm, linear, gainOffset)),
    ...batchNorms.flatMap((norm) => batchNormJoints(norm, linear)),
    ...gates.map(({ up, down }) => joint('gates', up.weight, pairUnits(up, down, linear))),
    ...layerPairs(model).flatMap((pair) => pairJoints(pair, linear)),
  ];
}

/** The factors that may stand at a joint: of a matrix those on its diagonal. */
export function unitsOf(joint: Joint): readonly Unit[] {
  if (joint.form === 'units') return joint.units;
  return joint.blocks.flatMap(({ into, out, dual }) =>
    Array.from({ length: joint.width }, (_, i): Unit => {
      const outputs = ({ layer, at }: Slot): Place => ({ kind: 'outputs', layer, from: at + i, count: 1 });
      const inputs = ({ layer, at }: Slot): Place => ({ kind: 'inputs', layer, from: at + i, count: 1 });
      return { times: into.map(outputs), over: [...out.map(inputs), ...dual.map(outputs)] };
    }),
  );
}

type Find = (ref: LinearRef) => ReturnType<typeof sidesOf>;

const joint = (kind: JointKind, weight: string, units: readonly Unit[]): UnitJoint => ({
  ...{ form: 'units', kind, name: `${kind} ${weight}`, units },
});

function attentionJoints(attention: AttentionStructure, linear: Find, offset: 0 | 1): Joint[] {
  const { queries, keys, value, output, keyHeads, headWidth: width, isRotary, norms } = attention;
  // So many heads of queries share one of keys.
  const shared = linear(output).inputs / width / keyHeads;
  const heads = Array.from({ length: keyHeads }, (_, head) => ({
    own: head * width,
    group: Array.from({ length: shared }, (__, index) => (head * shared + index) * width),
  }));
  const nameOf = ({ weight, offset: first = 0 }: LinearRef) => (first === 0 ? weight : `${weight} ${first}`);
  const values: MatrixJoint = {
    ...{ form: 'matrix', kind: 'values', name: `values ${nameOf(value)}`, width },
    blocks: heads.map(({ own, group }) => ({
      into: [{ layer: value, at: own }],
      out: group.map((at) => ({ layer: output, at })),
      dual: [],
    })),
  };
  if (norms) return [values, queryNorms(norms, width, offset)];
  const asked = (group: readonly number[]) => queries.flatMap((layer) => group.map((at) => ({ layer, at })));
  const given = (at: number) => keys.map((layer) => ({ layer, at }));
  if (!isRotary) {
    const blocks = heads.map(({ own, group }) => ({ into: asked(group), out: [], dual: given(own) }));
    return [values, { form: 'matrix', kind: 'scores', name: `scores ${nameOf(queries[0])}`, width, blocks }];
  }
  const half = width / 2;
  const units = heads.flatMap(({ own, group }) =>
    Array.from({ length: half }, (_, pair): Unit => {
      const rows = (slots: readonly Slot[]) =>
        slots.flatMap(({ layer, at }) =>
          [pair, pair + half].map((row): Place => ({ kind: 'outputs', layer, from: at + row, count: 1 })),
        );
      return { times: rows(asked(group)), over: rows(given(own)) };
    }),
  );
  return [values, joint('rotary', nameOf(queries[0]), units)];
}

/** The gains of the norms of queries and keys, which all heads share and positions turn pair by pair. */
function queryNorms({ query, key }: { query: string; key: string }, width: number, offset: 0 | 1): UnitJoint {
  const half = width / 2;
  const units = Array.from({ length: half }, (_, pair): Unit => {
    const both = (weight: string) => [pair, pair + half].map((at): Place => ({ kind: 'element', weight, at, offset }));
    return { times: both(query), over: both(key) };
  });
  return joint('query norms', query, units);
}

function normJoint({ gain, bias, readers }: NormStructure, linear: Find, offset: 0 | 1): UnitJoint {
  const units = Array.from({ length: linear(readers[0]).inputs }, (_, at): Unit => {
    const shift: Place[] = bias === undefined ? [] : [{ kind: 'element', weight: bias, at, offset: 0 }];
    return {
      times: [{ kind: 'element', weight: gain, at, offset }, ...shift],
      over: readers.map((layer) => ({ kind: 'inputs', layer, from: at, count: 1 })),
    };
  });
  return joint('norms', gain, units);
}

/** The scale of a convolution before batch norm, which divides by it, and the gain of one that a convolution reads. */
function batchNormJoints({ convolution, norm, reader }: BatchNormStructure, linear: Find): UnitJoint[] {
  const { outputs } = linear(convolution);
  const channels = (unit: (at: number) => Unit) => Array.from({ length: outputs }, (_, at) => unit(at));
  const element = (part: string, at: number): Place => ({ kind: 'element', weight: `${norm}.${part}`, at, offset: 0 });
  const scale = channels((at) => ({
    times: [
      { kind: 'outputs', layer: convolution, from: at, count: 1 },
      element('running_mean', at),
      { kind: 'variance', weight: `${norm}.running_var`, at },
    ],
    over: [],
  }));
  const found = [joint('batch norms', convolution.weight, scale)];
  if (!reader) return found;
  const kernel = linear(reader).inputs / outputs;
  const gains = channels((at) => ({
    times: [element('weight', at), element('bias', at)],
    over: [{ kind: 'inputs', layer: reader, from: at * kernel, count: kernel }],
  }));
  return [...found, joint('batch norm gains', `${norm}.weight`, gains)];
}

/** Units that one layer gives and the next alone reads. */
function pairUnits(into: LinearRef, out: LinearRef, linear: Find): Unit[] {
  const { outputs } = linear(into);
  const kernel = linear(out).inputs / outputs;
  return Array.from({ length: outputs }, (_, at) => ({
    times: [{ kind: 'outputs', layer: into, from: at, count: 1 }],
    over: [{ kind: 'inputs', layer: out, from: at * kernel, count: kernel }],
  }));
}

function pairJoints({ into, out, between, norm }: LayerPair, linear: Find): Joint[] {
  // Behind a batch norm the scale is not the layer's: its joints are those of the norm.
  if (between === 'other' || norm !== undefined) return [];
  const width = linear(into).outputs;
  if (between === 'homogeneous') return [joint('rectified', into.weight, pairUnits(into, out, linear))];
  if (linear(out).inputs !== width) return [joint('linear', into.weight, pairUnits(into, out, linear))];
  const block: Block = { into: [{ layer: into, at: 0 }], out: [{ layer: out, at: 0 }], dual: [] };
  return [{ form: 'matrix', kind: 'linear', name: `linear ${into.weight}`, width, blocks: [block] }];
}
