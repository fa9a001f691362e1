import type { Results } from '../../engine/index.js';
import { ancestors, gradients, mul, reduceSum, sizeOf, type Tensor } from '../../graph/index.js';
import { RandomStream } from '../../linalg/index.js';
import { type ModelSpec, smallestBatch, type WeightMatrix } from '../../models/index.js';
import { type ArraySpecs, type Batch, batchInput, secondMoment, type Use, usesOf } from '../../nn/index.js';
import type { ParameterSet } from '../../training/index.js';
import type { Metric } from './closed-form.js';
import { eachRun, type Reading, type RunContext, type Source } from './runs.js';

/** How much the directions of a weight's two sides count, as it is stored: `[rows, columns]`. */
export interface Moments {
  readonly left: Metric;
  readonly right: Metric;
  /** Whether it is a table whose rows are looked up, also where it is the output layer too. */
  readonly isTable: boolean;
}

/** What {@link erasable} found. */
export interface Erasable {
  /** Matrices whose inputs and outputs are known. */
  readonly matrices: readonly WeightMatrix[];
  /** Names of those that are tables whose rows are looked up. */
  readonly tables: ReadonlySet<string>;
  /** Of the others, why not. */
  readonly leftAlone: Readonly<Record<string, string>>;
}

/** Numbers of the metrics of the matrices that are measured at once: 256 MB, so that large models go layer by layer. */
const AT_ONCE = 2 ** 25;
/** A longer side has the diagonal of its second moment alone: the words of a vocabulary. */
const FULL_SIDE = 4096;
/** Name of the batch's array that the outputs are weighted with. */
const PROBE = 'probe';

/** Which of some matrices a reading depends on in a way that has inputs and outputs. */
export function erasable(model: ModelSpec, reading: Reading, matrices: readonly WeightMatrix[]): Erasable {
  const pass = model.build(smallestBatch(model));
  const nodes = ancestors([reading.of(pass)]);
  const found: WeightMatrix[] = [];
  const tables = new Set<string>();
  const leftAlone: Record<string, string> = {};
  for (const matrix of matrices) {
    const parameter = pass.scope.parameterInputs.get(matrix.name);
    const uses = parameter ? usesOf(nodes, parameter) : { unknown: 'no parameter' };
    if ('unknown' in uses) {
      leftAlone[matrix.name] = uses.unknown;
      continue;
    }
    found.push(matrix);
    if (uses.some(({ kind }) => kind === 'table')) tables.add(matrix.name);
  }
  return { matrices: found, tables, leftAlone };
}

/** A source, and where it is measured. */
interface MeasuredSource extends Source {
  /** Names of the matrices; default all. */
  readonly at?: ReadonlySet<string>;
}

/**
 * The second moments of inputs and of the gradients of a reading at the outputs of some matrices, over examples: what is read is
 * weighted with a vector of normal numbers, another one for each example (centred where a constant added to it says nothing), so
 * that the expectation is over all of its directions. Matrices are measured some at a time, each time in a pass over the examples.
 *
 * @param how - `sources`: each measured on its own; of a matrix that its reading does not depend on all moments are 0.
 * @param take - Is given the moments of each matrix once, those of each source that is measured there.
 * @throws InterruptedError after the signal of its watch, which hears of the examples of all passes ({@link examplesPassed}).
 */
export async function eachMoments(
  model: ModelSpec,
  params: ParameterSet,
  {
    matrices,
    sources,
    seed,
    ...context
  }: { matrices: readonly WeightMatrix[]; sources: readonly MeasuredSource[]; seed: number } & RunContext,
  take: (matrix: WeightMatrix, moments: readonly Moments[]) => void | Promise<void>,
): Promise<void> {
  for (const group of groupsOf(matrices, AT_ONCE / sources.length)) {
    const found: Map<string, Sums>[] = [];
    for (const { at, ...source } of sources) {
      const own = at ? group.filter(({ name }) => at.has(name)) : group;
      found.push(await sumsOf(model, params, { ...source, ...context, group: own, seed }));
    }
    for (const matrix of group) {
      const moments = found.flatMap((sums) => sums.get(matrix.name)?.moments() ?? []);
      await take(matrix, moments);
    }
  }
}

/** How many examples {@link eachMoments} passes over, each as often as it is read. */
export function examplesPassed(matrices: readonly WeightMatrix[], sources: readonly Pick<Source, 'dataset'>[]): number {
  const passes = groupsOf(matrices, AT_ONCE / sources.length).length;
  return passes * sources.reduce((sum, { dataset }) => sum + dataset.size, 0);
}

/** The sums of some matrices over one source. */
async function sumsOf(
  model: ModelSpec,
  params: ParameterSet,
  { group, seed, ...source }: Source & RunContext & { group: readonly WeightMatrix[]; seed: number },
): Promise<Map<string, Sums>> {
  const { reading } = source;
  const sums = new Map(group.map((matrix) => [matrix.name, new Sums(matrix)]));
  const { matrices } = erasable(model, reading, group);
  if (matrices.length === 0) {
    source.watch?.onExamples?.(source.dataset.size);
    return sums;
  }
  const graphOf = (specs: ArraySpecs) => momentGraph(model, reading, specs, matrices);
  const probeOf = (specs: ArraySpecs, batch: Batch, positions: Uint32Array) => {
    const { shape } = reading.of(model.build(specs));
    const probe = new Float32Array(sizeOf(shape));
    new RandomStream(seed, 'erase probe', positions[0]).fillNormal(probe, 0, 1);
    if (reading.isCentred) centre(probe, shape[shape.length - 1]);
    if (shape.length === 3) hidePadding(probe, shape[2], batch);
    return { [batchInput(PROBE)]: probe };
  };
  for await (const { results } of eachRun(model, params, source, graphOf, probeOf)) {
    for (const sum of sums.values()) sum.add(results);
  }
  return sums;
}

/**
 * How often each row of some tables is looked up by examples, padding apart.
 *
 * @param how - `matrices`: such whose rows are looked up, and used for nothing else.
 * @returns By name, `[rows]`.
 */
export async function rowsLookedUp(
  model: ModelSpec,
  params: ParameterSet,
  { matrices, ...source }: Source & RunContext & { matrices: readonly WeightMatrix[] },
): Promise<Map<string, Float64Array>> {
  const counts = new Map<string, Float64Array>();
  const graphOf = (specs: ArraySpecs) => lookupGraph(model, source.reading, specs, matrices);
  for await (const { results } of eachRun(model, params, source, graphOf)) {
    for (const { name, rows } of matrices) {
      for (let use = 0; `ids ${use} ${name}` in results; use++) {
        const found = counts.get(name) ?? new Float64Array(rows);
        countRows(found, results[`ids ${use} ${name}`] as BigInt64Array, results[`mask ${use} ${name}`]);
        counts.set(name, found);
      }
    }
  }
  return counts;
}

/** What tables look up, as in {@link momentGraph}. */
function lookupGraph(model: ModelSpec, reading: Reading, specs: ArraySpecs, matrices: readonly WeightMatrix[]) {
  const pass = model.build(specs);
  const { scope } = pass;
  const nodes = ancestors([reading.of(pass)]);
  const found: Record<string, Tensor> = {};
  for (const { name } of matrices) {
    const uses = usesOf(nodes, scope.parameterInputs.get(name) as Tensor) as readonly Use[];
    const lookups = uses.filter(({ kind }) => kind !== 'linear');
    for (const [index, use] of lookups.entries()) addLookups(found, use, (part) => `${part} ${index} ${name}`);
  }
  return found;
}

/** Cuts matrices into groups whose metrics hold so many numbers at most; one that does not fit is a group of its own. */
function groupsOf(matrices: readonly WeightMatrix[], most: number): WeightMatrix[][] {
  const groups: WeightMatrix[][] = [];
  let held = Number.POSITIVE_INFINITY;
  for (const matrix of matrices) {
    const size = [matrix.rows, matrix.columns].reduce((sum, n) => sum + (n > FULL_SIDE ? n : n * n), 0);
    if (held + size > most) {
      groups.push([]);
      held = 0;
    }
    groups[groups.length - 1].push(matrix);
    held += size;
  }
  return groups;
}

/**
 * For each matrix and use the sums of a batch: `in <use> <name>`, `out <use> <name>`; of tables `ids <use> <name>`, and which of them
 * are no padding, `mask <use> <name>`.
 */
function momentGraph(model: ModelSpec, reading: Reading, specs: ArraySpecs, group: readonly WeightMatrix[]) {
  const pass = model.build(specs);
  const { graph, scope } = pass;
  const output = reading.of(pass);
  const nodes = ancestors([output]);
  const used = group.flatMap(({ name }) => {
    const uses = usesOf(nodes, scope.parameterInputs.get(name) as Tensor);
    return (uses as readonly Use[]).map((use, index) => ({ name, use, index }));
  });
  const value = reduceSum(mul(output, graph.input(batchInput(PROBE), output.shape)));
  const slopes = gradients(
    value,
    used.map(({ use }) => use.output),
  );
  const found: Record<string, Tensor> = {};
  used.forEach(({ name, use, index }, at) => {
    const slope = slopes[at];
    const side = (part: string) => `${part}${use.isTransposed ? 'T' : ''} ${index} ${name}`;
    if (slope) found[side('out')] = secondMoment(use.rows(slope), FULL_SIDE);
    if (use.kind === 'linear') found[side('in')] = secondMoment(use.inputs(), FULL_SIDE);
    else addLookups(found, use, side);
  });
  return found;
}

/** What a use of a table looks up, and which of that is no padding. */
function addLookups(found: Record<string, Tensor>, use: Use, side: (part: string) => string): void {
  found[side('ids')] = use.inputs();
  const counted = use.counted();
  if (counted) found[side('mask')] = counted;
}

/** Sums of the moments of one matrix. */
class Sums {
  readonly #left = new Map<string, Float64Array>();
  readonly #right = new Map<string, Float64Array>();
  readonly #suffix: RegExp;

  constructor(readonly matrix: WeightMatrix) {
    const literal = matrix.name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
    this.#suffix = new RegExp(`^(in|out|ids|mask)(T?) (\\d+) ${literal}$`);
  }

  /** Adds those of a batch. */
  add(results: Results): void {
    for (const [key, values] of Object.entries(results)) {
      const [, part, turned, use] = this.#suffix.exec(key) ?? [];
      if (part === undefined || part === 'mask') continue;
      const isLeft = part === 'ids' || (part === 'out') !== (turned === 'T');
      // The rows of a table are its inputs, its columns its outputs.
      const isTable = `ids${turned} ${use} ${this.matrix.name}` in results;
      if (part === 'ids') {
        this.#count(use, values as BigInt64Array, results[`mask${turned} ${use} ${this.matrix.name}`]);
      } else addTo(isLeft && !isTable ? this.#left : this.#right, use, values as Float32Array);
    }
  }

  #count(use: string, ids: BigInt64Array, mask: Results[string] | undefined): void {
    const key = `ids ${use}`;
    const counts = this.#left.get(key) ?? new Float64Array(this.matrix.rows);
    countRows(counts, ids, mask);
    this.#left.set(key, counts);
  }

  /** The moments; of a weight with several uses the sum of all, each with a mean diagonal of 1. */
  moments(): Moments {
    const { rows, columns } = this.matrix;
    const isTable = [...this.#left.keys()].some((key) => key.startsWith('ids'));
    return { left: mixed(rows, this.#left), right: mixed(columns, this.#right), isTable };
  }
}

/** Counts rows that are looked up, those of padding apart. */
function countRows(counts: Float64Array, ids: BigInt64Array, mask: Results[string] | undefined): void {
  for (let at = 0; at < ids.length; at++) if (!mask || Number(mask[at]) > 0) counts[Number(ids[at])]++;
}

function addTo(sums: Map<string, Float64Array>, key: string, values: Float32Array): void {
  const sum = sums.get(key) ?? new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) sum[i] += values[i];
  sums.set(key, sum);
}

function mixed(n: number, parts: ReadonlyMap<string, Float64Array>): Metric {
  const isFull = n <= FULL_SIDE && [...parts.values()].some(({ length }) => length === n * n && n > 1);
  const values = new Float64Array(isFull ? n * n : n);
  for (const part of parts.values()) {
    const isDiagonal = part.length === n;
    const step = isDiagonal ? 1 : n + 1;
    let trace = 0;
    for (let i = 0; i < n; i++) trace += part[i * step];
    const factor = trace > 0 ? n / trace : 0;
    if (isFull && !isDiagonal) for (let i = 0; i < values.length; i++) values[i] += factor * part[i];
    else for (let i = 0; i < n; i++) values[i * (isFull ? n + 1 : 1)] += factor * part[i * step];
  }
  return { n, values };
}

/** Takes the mean out of each row. */
function centre(values: Float32Array, width: number): void {
  for (let start = 0; start < values.length; start += width) {
    let sum = 0;
    for (let i = start; i < start + width; i++) sum += values[i];
    for (let i = start; i < start + width; i++) values[i] -= sum / width;
  }
}

/** What padding is given counts for nothing. */
function hidePadding(probe: Float32Array, width: number, { attention_mask: mask }: Batch): void {
  if (mask === undefined) return;
  for (let token = 0; token < mask.length; token++) {
    if (Number(mask[token]) === 0) probe.fill(0, token * width, (token + 1) * width);
  }
}
