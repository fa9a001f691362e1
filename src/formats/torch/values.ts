import type { StoredDType } from '../dtypes.js';

/** A tuple of a pickle; its lists are arrays. */
export class Tuple {
  constructor(readonly items: readonly PickleValue[]) {}
}

/** A function, class or dtype that a pickle names. Nothing of that name is ever looked up or called. */
export class Global {
  constructor(readonly name: string) {}
}

/** Bytes of an archive that tensors look into. */
export interface Storage {
  /** Its record's name within `data/`. */
  readonly key: string;
  /** Of its elements; none for one without a type of its own. */
  readonly dtype?: StoredDType;
  /** How many bytes it has. */
  readonly bytes: number;
}

/** A tensor as a pickle describes it: a view of a storage; offset and strides count elements. */
export class View {
  constructor(
    readonly storage: Storage,
    readonly dtype: StoredDType,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

/** What a storage's place is taken by in a pickle. */
export class StorageRef {
  constructor(readonly storage: Storage) {}
}

/** All that the pickle of a state dict may hold. */
export type PickleValue =
  | null
  | boolean
  | number
  | string
  | PickleValue[]
  | Tuple
  | Global
  | View
  | StorageRef
  | Map<string | number, PickleValue>;

/** What a value is, for messages; nothing of it is shown, for it may be of any size. */
export function kindOf(value: PickleValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Map) return 'a dict';
  if (value instanceof Tuple) return 'a tuple';
  if (value instanceof Global) return value.name;
  if (value instanceof View) return 'a tensor';
  if (value instanceof StorageRef) return 'a storage';
  return typeof value === 'string' ? 'a text' : `a ${typeof value}`;
}
