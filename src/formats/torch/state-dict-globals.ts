import { DTYPE_BYTES, type StoredDType } from '../dtypes.js';
import { Global, kindOf, type PickleValue, type Storage, StorageRef, Tuple, View } from './values.js';

/** Storage classes of torch, with the type of their elements. */
const STORAGES: ReadonlyMap<string, StoredDType> = new Map(
  Object.entries({
    'torch.DoubleStorage': 'F64',
    'torch.FloatStorage': 'F32',
    'torch.HalfStorage': 'F16',
    'torch.BFloat16Storage': 'BF16',
    'torch.LongStorage': 'I64',
    'torch.IntStorage': 'I32',
    'torch.ShortStorage': 'I16',
    'torch.CharStorage': 'I8',
    'torch.ByteStorage': 'U8',
    'torch.BoolStorage': 'BOOL',
  } as const),
);
/** A storage whose elements' type each tensor says itself. */
const UNTYPED = 'torch.storage.UntypedStorage';

/** Types that have no storage class. */
const DTYPES: ReadonlyMap<string, StoredDType> = new Map(
  Object.entries({
    'torch.float8_e4m3fn': 'F8_E4M3',
    'torch.float8_e5m2': 'F8_E5M2',
    'torch.uint16': 'U16',
    'torch.uint32': 'U32',
    'torch.uint64': 'U64',
  } as const),
);

/** As many dimensions as PyTorch knows. */
const MAX_DIMENSIONS = 64;

/** What a function of the allow-list makes of its arguments; a text is what it expects instead. */
type Build = (args: readonly PickleValue[]) => PickleValue | Expected;

/** What was expected of an argument, where something else came. */
export class Expected {
  constructor(
    readonly what: string,
    readonly found: string,
  ) {}
}

/** The functions of a state dict's pickle and what they mean. This is the whole list: nothing else is built from a pickle. */
const BUILDERS: ReadonlyMap<string, Build> = new Map(
  Object.entries({
    'collections.OrderedDict': (args) =>
      args.length === 0 ? new Map() : new Expected('an empty OrderedDict', 'items'),
    'torch.Size': ([size]) => (size instanceof Tuple ? size : new Expected('a tuple', kindOf(size))),
    'torch._utils._rebuild_tensor_v2': rebuildTensor,
    'torch._utils._rebuild_tensor_v3': rebuildTensor,
    'torch._utils._rebuild_parameter': ([tensor]) =>
      tensor instanceof View ? tensor : new Expected('a tensor', kindOf(tensor)),
  } satisfies Record<string, Build>),
);

/** Whether a name may stand in a pickle at all. */
export function isAllowed(name: string): boolean {
  return BUILDERS.has(name) || STORAGES.has(name) || DTYPES.has(name) || name === UNTYPED;
}

/** Does what a pickle asks for: a function of the list with its arguments. */
export function build(callable: PickleValue | undefined, args: PickleValue | undefined): PickleValue | Expected {
  const builder = callable instanceof Global ? BUILDERS.get(callable.name) : undefined;
  if (!builder) return new Expected('a function of state dicts', kindOf(callable));
  if (!(args instanceof Tuple)) return new Expected(`arguments of ${kindOf(callable)}`, kindOf(args));
  return builder(args.items);
}

/** The storage that a persistent id names: `('storage', class, key, device, elements)`. */
export function storageOf(id: PickleValue | undefined): StorageRef | Expected {
  if (!(id instanceof Tuple)) return new Expected('a tuple that names a storage', kindOf(id));
  const [tag, type, key, , count] = id.items;
  if (tag !== 'storage' || !(type instanceof Global) || typeof key !== 'string' || !isCount(count)) {
    return new Expected('a tuple that names a storage', 'another one');
  }
  if (type.name === UNTYPED) return new StorageRef({ key, bytes: count });
  const dtype = STORAGES.get(type.name);
  if (!dtype) return new Expected('a storage class', type.name);
  return new StorageRef({ key, dtype, bytes: count * DTYPE_BYTES[dtype] });
}

/** `(storage, offset, size, strides, requires_grad, hooks[, dtype or metadata])` */
function rebuildTensor([ref, offset, size, strides, , , last]: readonly PickleValue[]): View | Expected {
  if (!(ref instanceof StorageRef)) return new Expected('a storage', kindOf(ref));
  const { storage } = ref;
  const dtype = storage.dtype ?? (last instanceof Global ? DTYPES.get(last.name) : undefined);
  if (dtype === undefined) return new Expected('a dtype of an untyped storage', kindOf(last));
  const shape = counts(size);
  const steps = counts(strides);
  if (!isCount(offset) || !shape || !steps || shape.length !== steps.length) {
    return new Expected('a tensor with offset, size and strides', 'other values');
  }
  const view = new View(storage, dtype, offset, shape, steps);
  return outside(view, storage) ?? view;
}

function outside({ dtype, offset, shape, strides }: View, { bytes }: Storage): Expected | undefined {
  const elements = bytes / DTYPE_BYTES[dtype];
  const count = shape.reduce((product, length) => product * length, 1);
  const end =
    count === 0 ? 0 : shape.reduce((last, length, axis) => last + (length - 1) * (strides[axis] ?? 0), offset) + 1;
  if (end > elements) return new Expected(`a view within a storage of ${elements} elements`, `one up to ${end}`);
  // Strides of 0 make any size of one element.
  if (count > elements) return new Expected(`at most the ${elements} elements of its storage`, `a view of ${count}`);
  return undefined;
}

function counts(value: PickleValue | undefined): number[] | undefined {
  if (!(value instanceof Tuple) || value.items.length > MAX_DIMENSIONS) return undefined;
  const items = value.items.filter(isCount);
  return items.length === value.items.length ? items : undefined;
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
