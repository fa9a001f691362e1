import { fromFloat32, placedSafetensors, type TensorBytes, type TensorHeader, toFloat32 } from '../formats/index.js';
import { modelState } from './architecture.js';
import type { ModelOnDisk } from './model.js';
import { initializeWeights, requireFinite, type StateDict, type Weight } from './state-dict.js';
import { likeFiles, type NewWeightFile, requireEqual } from './weight-files.js';

/** A change of weights that are needed together, and of no others. */
export interface WeightChange {
  /** Names of the weights. */
  readonly names: readonly string[];
  /** Does it, in place, to weights of which these are some. */
  apply(weights: StateDict): void;
}

/** Sees every weight of a model that is changed on the disk, once. */
export interface WeightWatch {
  /** As it is read. */
  before(name: string, weight: Weight): void | Promise<void>;
  /** As it is written, rounded to the type that its file stores. */
  after(name: string, weight: Weight): void | Promise<void>;
}

/** How a model is changed on the disk, and who hears of it. */
export interface ChangeOptions {
  /** Of weights that the source lacks, as it was opened with; default 1. */
  readonly seed?: number;
  /** Sees every weight. */
  readonly watch?: WeightWatch;
  /** Stops it between two groups of weights. */
  readonly signal?: AbortSignal;
}

/** Weights that must be in memory together, with what is done to them. */
interface Group {
  readonly names: readonly string[];
  readonly changes: readonly WeightChange[];
}

/**
 * Weights that changes tie together, by the name of each: two changes of one weight are of one group. Within a group changes keep their
 * order; those of two groups share nothing, so that theirs does not matter.
 */
export function groupsOf(changes: readonly WeightChange[]): ReadonlyMap<string, Group> {
  const groups = new Map<string, Group>();
  for (const change of changes) {
    const met = [...new Set(change.names.flatMap((name) => groups.get(name) ?? []))];
    const group = {
      names: [...new Set([...met.flatMap(({ names }) => names), ...change.names])],
      changes: [...met.flatMap((each) => each.changes), change],
    };
    for (const name of group.names) groups.set(name, group);
  }
  return groups;
}

/**
 * The files of a model's weights with some of them changed, group by group as they are written: at most the weights of one group are in
 * memory, as float32 values. What no change names is copied to the byte. A group whose tensors lie in several files is computed for each.
 *
 * @throws InputError, when they are written, where a weight holds NaN or infinities, or tied tensors differ.
 */
export function changedFiles(
  folder: string,
  model: ModelOnDisk & { readonly source: string },
  changes: readonly WeightChange[],
  options: ChangeOptions = {},
) {
  const groups = groupsOf(changes);
  const seen = new Set<string>();
  return likeFiles(folder, model, (file) =>
    placedSafetensors(file.file, file.path, changedTensors(file, { model, groups, seen }, options)),
  );
}

async function* changedTensors(
  target: NewWeightFile,
  { model, groups, seen }: { model: ModelOnDisk; groups: ReadonlyMap<string, Group>; seen: Set<string> },
  { seed = 1, watch, signal }: ChangeOptions,
): AsyncGenerator<TensorBytes> {
  const { file, files, entryOf } = target;
  const here = tensorsOfEntries(file.tensors, entryOf);
  const source = new SourceWeights(target, model, seed);
  const done = new Set<string>();
  for (const { name: tensor } of file.tensors) {
    const entry = entryOf(tensor);
    if (entry === undefined) yield { name: tensor, bytes: (await files.tensor(tensor)).bytes };
    if (entry === undefined || done.has(entry)) continue;
    signal?.throwIfAborted();
    const { names, changes } = groups.get(entry) ?? { names: [entry], changes: [] };
    const weights = new Map<string, Weight>();
    for (const name of names) {
      const weight = await source.read(name, { isFirst: !seen.has(name) });
      if (!seen.has(name)) await watch?.before(name, weight);
      weights.set(name, weight);
    }
    for (const change of changes) change.apply(weights);
    for (const name of names) {
      const weight = weights.get(name) as Weight; // as it was set above
      weights.delete(name);
      if (!seen.has(name)) await watch?.after(name, writtenWeight(name, weight, model));
      seen.add(name);
      done.add(name);
      for (const header of here.get(name) ?? []) {
        const isCopied = changes.length === 0 && source.holds(header.name);
        const bytes = isCopied ? (await files.tensor(header.name)).bytes : fromFloat32(weight.data, header).bytes;
        yield { name: header.name, bytes };
      }
    }
  }
}

/** The values that a weight's file will hold. */
function writtenWeight(name: string, { shape, data }: Weight, { stored }: ModelOnDisk): Weight {
  const dtype = stored?.get(name) ?? 'F32';
  return { shape, data: dtype === 'F32' ? data : toFloat32(fromFloat32(data, { name, dtype, shape })) };
}

/** The tensors that each entry of a model is: more than one where some are tied. */
function tensorsOfEntries(headers: readonly TensorHeader[], entryOf: NewWeightFile['entryOf']) {
  const found = new Map<string, TensorHeader[]>();
  for (const header of headers) {
    const entry = entryOf(header.name);
    if (entry !== undefined) found.set(entry, [...(found.get(entry) ?? []), header]);
  }
  return found;
}

/** The weights of a model on the disk, one at a time. */
class SourceWeights {
  readonly #tensors: ReadonlyMap<string, readonly TensorHeader[]>;
  readonly #paths: ReadonlyMap<string, string>;

  constructor(
    readonly target: NewWeightFile,
    readonly model: ModelOnDisk,
    readonly seed: number,
  ) {
    const { files, entryOf } = target;
    // Of a head of fewer classes the source's tensor is another one.
    const isKept = ({ name, shape }: TensorHeader) => {
      const weight = model.weights.get(entryOf(name) ?? '');
      return weight === undefined || String(weight.shape) === String(shape);
    };
    this.#tensors = tensorsOfEntries(files.headers.filter(isKept), entryOf);
    this.#paths = new Map(
      files.shards.flatMap(({ path, tensors }) => tensors.filter(isKept).map(({ name }) => [name, path])),
    );
  }

  /** Whether a tensor lies in the source: others are drawn. */
  holds(tensor: string): boolean {
    return this.#paths.has(tensor);
  }

  /** Reads or draws one; at first with the checks of a model that is loaded. */
  async read(entry: string, { isFirst }: { isFirst: boolean }): Promise<Weight> {
    const [own, ...tied] = this.#tensors.get(entry) ?? [];
    if (own === undefined) return this.#draw(entry);
    const weight = await this.#values(own, isFirst);
    for (const header of isFirst ? tied : []) {
      const other = { name: header.name, weight: await this.#values(header, isFirst) };
      requireEqual(other, { name: entry, weight }, this.model, this.#paths.get(header.name) ?? '');
    }
    return weight;
  }

  async #values({ name, shape }: TensorHeader, isChecked: boolean): Promise<Weight> {
    const weight = { shape, data: new Float32Array(shape.reduce((product, length) => product * length, 1)) };
    await this.target.files.values(name, weight.data);
    if (isChecked) requireFinite(name, weight, this.#paths.get(name) ?? '');
    return weight;
  }

  #draw(entry: string): Weight {
    const specs = modelState(this.model).filter(({ name }) => name === entry);
    const weight = initializeWeights(specs, this.seed).get(entry);
    if (!weight) throw new TypeError(`${entry}: expected a weight of the model`);
    return weight;
  }
}
