import type { StoredDType, StoredTensor } from '../../src/formats/index.js';
import { zipFile } from './zip-writer.js';

const text = (value: string) => `X${String.fromCharCode(value.length, 0, 0, 0)}${value}`;
const int = (value: number) => `J${String.fromCharCode(...[0, 8, 16, 24].map((shift) => (value >> shift) & 255))}`;
const dict = (...items: string[]) => `}(${items.join('')}u`;
const storage = (count: number, key = '0', type = 'torch\nFloatStorage') =>
  `(${text('storage')}c${type}\n${text(key)}${text('cpu')}${int(count)}tQ`;
const tensor = (offset: string, size: string, strides: string, of = storage(6)) =>
  `ctorch._utils\n_rebuild_tensor_v2\n(${of}${offset}${size}${strides}\x89ccollections\nOrderedDict\n)RtR`;
const bytes = (body: string) => Buffer.from(`\x80\x02${body}.`, 'latin1');

/** Parts of a pickle of protocol 2, one character a byte; a tensor's offset, size and strides are parts themselves. */
export const pickle = { text, int, dict, storage, tensor, bytes };

const CLASSES: Partial<Record<StoredDType, string>> = {
  F32: 'FloatStorage',
  F16: 'HalfStorage',
  BF16: 'BFloat16Storage',
  I64: 'LongStorage',
};

/** What torch.save writes of a state dict. */
export function torchFile(tensors: readonly StoredTensor[]): Uint8Array {
  const items = tensors.flatMap(({ name, dtype, shape }, index) => {
    const tuple = (values: readonly number[]) => `(${values.map(pickle.int).join('')}t`;
    const count = shape.reduce((product, length) => product * length, 1);
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, length) => product * length, 1));
    const storage = pickle.storage(count, String(index), `torch\n${CLASSES[dtype]}`);
    return [pickle.text(name), pickle.tensor(pickle.int(0), tuple(shape), tuple(strides), storage)];
  });
  return zipFile([
    { name: 'archive/data.pkl', data: pickle.bytes(pickle.dict(...items)) },
    ...tensors.map(({ bytes }, index) => ({ name: `archive/data/${index}`, data: bytes })),
  ]);
}
