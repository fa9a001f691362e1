import { allocateBatch, type Dataset, gatherBatch, layoutAt } from '../../data/index.js';
import { type EngineOptions, ProgramCache, type Results } from '../../engine/index.js';
import { ancestors, gradients, mul, reduceSum, sizeOf, type Tensor } from '../../graph/index.js';
import { RandomStream } from '../../linalg/index.js';
import { type ModelSpec, smallestBatch, type WeightMatrix } from '../../models/index.js';
import {
  type ArraySpecs,
  type Batch,
  batchInput,
  batchSpecs,
  feedsOf,
  secondMoment,
  type Use,
  usesOf,
} from '../../nn/index.js';
import type { Task } from '../../tasks/index.js';
import type { ParameterSet } from '../../training/index.js';
import type { Metric } from './closed-form.js';

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
  /** Of the others, why not. */
  readonly leftAlone: Readonly<Record<string, string>>;
}

/** Numbers of the metrics of the matrices that are measured at once: 256 MB, so that large models go layer by layer. */
const AT_ONCE = 2 ** 25;
/** A longer side has the diagonal of its second moment alone: the words of a vocabulary. */
const FULL_SIDE = 4096;
/** Examples, tokens and outputs of one run at most. */
const RUN = { examples: 32, tokens: 4096, outputs: 2 ** 22 };
/** Name of the batch's array that the outputs are weighted with. */
const PROBE = 'probe';

/** Which of some matrices a model uses in a way that has inputs and outputs. */
export function erasable(model: ModelSpec, task: Task, matrices: readonly WeightMatrix[]): Erasable {
  const { outputs, scope } = model.build(smallestBatch(model));
  const nodes = ancestors([outputs[task.output]]);
  const found: WeightMatrix[] = [];
  const leftAlone: Record<string, string> = {};
  for (const matrix of matrices) {
    const parameter = scope.parameterInputs.get(matrix.name);
    const uses = parameter ? usesOf(nodes, parameter) : { unknown: 'no parameter' };
    if ('unknown' in uses) leftAlone[matrix.name] = uses.unknown;
    else found.push(matrix);
  }
  return { matrices: found, leftAlone };
}

/**
 * The second moments of inputs and of the gradients of a model's output at the outputs of some matrices, over examples: the output
 * is weighted with a vector of normal numbers, another one for each example (centred where a constant added to it says nothing), so
 * that the expectation is over all of its directions. Matrices are measured some at a time, each time in a pass over the examples.
 *
 * @param take - Is given the moments of each matrix once.
 */
export async function eachMoments(
  model: ModelSpec,
  params: ParameterSet,
  {
    matrices,
    dataset,
    task,
    seed,
    engine,
  }: {
    matrices: readonly WeightMatrix[];
    dataset: Dataset;
    task: Task;
    seed: number;
    engine?: EngineOptions;
  },
  take: (matrix: WeightMatrix, moments: Moments) => void | Promise<void>,
): Promise<void> {
  for (const group of groupsOf(matrices)) {
    const sums = new Map(group.map((matrix) => [matrix.name, new Sums(matrix)]));
    // A program a group and layout: none is of use to the next group.
    const programs = new ProgramCache(engine);
    try {
      for (const positions of runsOf(model, task, dataset)) {
        const layout = layoutAt(dataset, positions);
        const specs = batchSpecs(layout, positions.length);
        const program = await programs.get(JSON.stringify(specs), () => momentGraph(model, task, specs, group));
        const batch = allocateBatch(specs);
        gatherBatch(dataset, positions, { batch, layout });
        const { shape } = model.build(specs).outputs[task.output];
        const probe = new Float32Array(sizeOf(shape));
        new RandomStream(seed, 'erase probe', positions[0]).fillNormal(probe, 0, 1);
        if (task.roles.divergence === 'kl') centre(probe, shape[shape.length - 1]);
        if (shape.length === 3) hidePadding(probe, shape[2], batch);
        const feeds = { ...feedsOf(batch, params), [batchInput(PROBE)]: probe };
        const results = await program.run(feeds);
        for (const sum of sums.values()) sum.add(results);
      }
    } finally {
      await programs.release();
    }
    for (const matrix of group) await take(matrix, (sums.get(matrix.name) as Sums).moments());
  }
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
  {
    matrices,
    dataset,
    task,
    engine,
  }: { matrices: readonly WeightMatrix[]; dataset: Dataset; task: Task; engine?: EngineOptions },
): Promise<Map<string, Float64Array>> {
  const counts = new Map<string, Float64Array>();
  const programs = new ProgramCache(engine);
  try {
    for (const positions of runsOf(model, task, dataset)) {
      const layout = layoutAt(dataset, positions);
      const specs = batchSpecs(layout, positions.length);
      const program = await programs.get(JSON.stringify(specs), () => lookupGraph(model, task, specs, matrices));
      const batch = allocateBatch(specs);
      gatherBatch(dataset, positions, { batch, layout });
      const feeds = Object.entries(feedsOf(batch, params)).filter(([name]) => program.inputs.has(name));
      const results = await program.run(Object.fromEntries(feeds));
      for (const { name, rows } of matrices) {
        for (let use = 0; `ids ${use} ${name}` in results; use++) {
          const found = counts.get(name) ?? new Float64Array(rows);
          countRows(found, results[`ids ${use} ${name}`] as BigInt64Array, results[`mask ${use} ${name}`]);
          counts.set(name, found);
        }
      }
    }
  } finally {
    await programs.release();
  }
  return counts;
}

/** What tables look up, as in {@link momentGraph}. */
function lookupGraph(model: ModelSpec, task: Task, specs: ArraySpecs, matrices: readonly WeightMatrix[]) {
  const { outputs, scope } = model.build(specs);
  const nodes = ancestors([outputs[task.output]]);
  const found: Record<string, Tensor> = {};
  for (const { name } of matrices) {
    const uses = usesOf(nodes, scope.parameterInputs.get(name) as Tensor) as readonly Use[];
    const lookups = uses.filter(({ kind }) => kind !== 'linear');
    for (const [index, use] of lookups.entries()) addLookups(found, use, (part) => `${part} ${index} ${name}`);
  }
  return found;
}

/** Cuts matrices into groups whose metrics fit together; one that does not fit is a group of its own. */
function groupsOf(matrices: readonly WeightMatrix[]): WeightMatrix[][] {
  const groups: WeightMatrix[][] = [];
  let held = Number.POSITIVE_INFINITY;
  for (const matrix of matrices) {
    const size = [matrix.rows, matrix.columns].reduce((sum, n) => sum + (n > FULL_SIDE ? n : n * n), 0);
    if (held + size > AT_ONCE) {
      groups.push([]);
      held = 0;
    }
    groups[groups.length - 1].push(matrix);
    held += size;
  }
  return groups;
}

/** Positions of a data set, longest examples first, cut into runs of a bounded size. */
function* runsOf(model: ModelSpec, task: Task, dataset: Dataset): Generator<Uint32Array> {
  const { examples, indices, size } = dataset;
  const { lengths } = examples;
  const order = Uint32Array.from({ length: size }, (_, position) => position);
  if (lengths) order.sort((a, b) => lengths[indices[b]] - lengths[indices[a]] || a - b);
  for (let start = 0; start < size; ) {
    const first = order.slice(start, start + 1);
    const one = model.build(batchSpecs(layoutAt(dataset, first), 1)).outputs[task.output];
    const byTokens = lengths ? Math.floor(RUN.tokens / lengths[indices[first[0]]]) : RUN.examples;
    const count = Math.max(1, Math.min(RUN.examples, byTokens, Math.floor(RUN.outputs / one.size)));
    yield order.slice(start, start + count);
    start += count;
  }
}

/**
 * For each matrix and use the sums of a batch: `in <use> <name>`, `out <use> <name>`; of tables `ids <use> <name>`, and which of them
 * are no padding, `mask <use> <name>`.
 */
function momentGraph(model: ModelSpec, task: Task, specs: ArraySpecs, group: readonly WeightMatrix[]) {
  const { graph, outputs, scope } = model.build(specs);
  const output = outputs[task.output];
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
