import type { StoredDType } from '../formats/index.js';
import type { ModelSpec } from './architecture.js';
import type { StateDict, WeightShapes } from './state-dict.js';

/** A model of which the headers have been read: its weights lie on the disk, and all but their values is known. */
export interface ModelOnDisk extends ModelSpec {
  /** Shapes of its weights by name, in file order. */
  readonly weights: WeightShapes;
  /** Stored type of each weight in the folder that it was read from; none for a new model, which is stored as float32. */
  readonly stored?: ReadonlyMap<string, StoredDType>;
  /** The folder or file it was read from; none for a new model. */
  readonly source?: string;
  /** The `config.json` it was read from; none for a new model and where the configuration was given by the caller. */
  readonly configFile?: string;
  /** Keys of its `config.json` that are other ones than in {@link configFile}: those of a head that it got, and the type of weights that were stored otherwise. */
  readonly changedKeys?: Readonly<Record<string, unknown>>;
  /** The folder whose tokenizer reads its texts, where that is another one: its files are written beside the weights. */
  readonly tokenizer?: string;
  /** What a reader of the folder must know, a line each: weights that it lacked and that were drawn. */
  readonly notes?: readonly string[];
}

/** A model in memory: float32 weights, whatever type the file stores. */
export interface Model extends ModelOnDisk {
  /** Weights by name, in file order. */
  readonly weights: StateDict;
}
