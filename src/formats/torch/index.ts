import type { FileHandle } from 'node:fs/promises';
import { InputError, quote } from '../../registry/index.js';
import { DTYPE_BYTES } from '../dtypes.js';
import { FOREIGN_BYTES, foreignFile } from '../foreign.js';
import { allocate, type KnownFile, lookInto, readInto, reopen } from '../known-file.js';
import { MAX_FILE_BYTES, PIECE_BYTES, type TensorSource } from '../tensor-source.js';
import { countOf, extent, gather, isContiguous } from './strided.js';
import { unpickle } from './unpickle.js';
import { kindOf, type PickleValue, View } from './values.js';
import { readZip, type ZipRecord } from './zip.js';

/** A state dict of 100,000 tensors has 20 MB. */
const MAX_PICKLE_BYTES = 64 * 2 ** 20;
const PICKLE = /^(.*\/)?data\.pkl$/;
/** Keys under which training scripts keep the state dict among other things. */
const WRAPPERS = ['state_dict', 'model_state_dict', 'model'];

/** A tensor and where its storage's bytes begin in the file. */
interface Place {
  readonly name: string;
  readonly view: View;
  readonly begin: number;
}

/**
 * Opens a state dict that `torch.save` wrote (`pytorch_model.bin`, `.pth`), as PyTorch does since 1.6: a zip archive of a pickle and
 * the storages. Nothing of it is executed. Tensors that share a storage are given one by one, each with values of its own.
 *
 * @throws InputError when it is malformed, holds anything but tensors, or its pickle asks for a function that no state dict needs.
 */
export async function openTorch(
  path: string,
  { maxBytes = MAX_FILE_BYTES }: { maxBytes?: number } = {},
): Promise<TensorSource> {
  return lookInto(path, maxBytes, async (handle, size, file) => {
    await requireZip(handle, size, path);
    const records = await readZip(handle, size, path);
    const { prefix, record } = findPickle(records, path);
    await requireLittleEndian(handle, records.get(`${prefix}byteorder`), path);
    if (record.length > MAX_PICKLE_BYTES) {
      throw new InputError(`${path}: expected a pickle of at most ${MAX_PICKLE_BYTES} bytes, found ${record.length}`);
    }
    const stateDict = stateDictOf(unpickle(await readRecord(handle, record, path), path), path);
    const places = stateDict.map(
      ([name, view]): Place => ({ name, view, begin: storagePlace(records, prefix, view, name, path) }),
    );
    requireTotal(places, maxBytes, path);
    return {
      path,
      metadata: {},
      tensors: places.map((place) => ({
        header: { name: place.name, dtype: place.view.dtype, shape: place.view.shape },
        pieces: (onPiece) => readPlace(file, place, onPiece),
      })),
    };
  });
}

async function requireZip(handle: FileHandle, size: number, path: string): Promise<void> {
  const start = new Uint8Array(Math.min(FOREIGN_BYTES, size));
  await readInto(handle, 0, start, path);
  const text = Buffer.from(start).toString('latin1');
  if (text.startsWith('PK\x03\x04')) return;
  if (start[0] === 0x80 && start[1] !== undefined && start[1] <= 5) {
    throw new InputError(
      `${path}: expected a file of PyTorch 1.6 or newer, found an older one or another pickle; load it there and save it again`,
    );
  }
  const known = foreignFile(start);
  throw new InputError(
    `${path}: expected a zip archive of torch.save, found ${known ? `${known.what}; ${known.advice}` : 'something else'}`,
  );
}

function findPickle(records: ReadonlyMap<string, ZipRecord>, path: string): { prefix: string; record: ZipRecord } {
  const found = [...records].filter(([name]) => PICKLE.test(name));
  const [first] = found;
  if (found.length !== 1 || first === undefined) {
    throw new InputError(`${path}: expected an archive of torch.save with one data.pkl, found ${found.length}`);
  }
  const [name, record] = first;
  const prefix = name.slice(0, -'data.pkl'.length);
  if (records.has(`${prefix}constants.pkl`)) {
    throw new InputError(
      `${path}: expected a state dict, found a TorchScript program; save model.state_dict() or safetensors`,
    );
  }
  return { prefix, record };
}

async function requireLittleEndian(handle: FileHandle, record: ZipRecord | undefined, path: string): Promise<void> {
  if (!record) return;
  const order = record.length > 16 ? '' : new TextDecoder().decode(await readRecord(handle, record, path));
  if (order !== 'little')
    throw new InputError(`${path}: expected little-endian numbers, found byteorder ${quote(order)}`);
}

async function readRecord(handle: FileHandle, { begin, length }: ZipRecord, path: string): Promise<Uint8Array> {
  const bytes = allocate(length, path);
  await readInto(handle, begin, bytes, path);
  return bytes;
}

/** The tensors of a state dict by name, or of the one that a training script's checkpoint holds. */
function stateDictOf(value: PickleValue, path: string): [string, View][] {
  const inner =
    value instanceof Map ? WRAPPERS.map((key) => value.get(key)).find((each) => each instanceof Map) : undefined;
  const dict = inner ?? value;
  const fail = (found: string) =>
    new InputError(`${path}: expected a dict of tensors, found ${found}; save model.state_dict() or safetensors`);
  if (!(dict instanceof Map)) throw fail(kindOf(dict));
  return [...dict].map(([name, tensor]) => {
    if (typeof name !== 'string') throw fail(`the number ${name} as a key`);
    if (!(tensor instanceof View)) throw fail(`${kindOf(tensor)} as ${quote(name)}`);
    return [name, tensor];
  });
}

/** Where a tensor's storage begins: the key is looked up in the archive and is no path. */
function storagePlace(
  records: ReadonlyMap<string, ZipRecord>,
  prefix: string,
  { storage: { key, bytes } }: View,
  name: string,
  path: string,
): number {
  const record = records.get(`${prefix}data/${key}`);
  if (record?.length === bytes) return record.begin;
  const found = record ? `${record.length}` : 'no such record';
  throw new InputError(
    `${path}: tensor ${quote(name)}: expected ${bytes} bytes of storage ${quote(key)}, found ${found}`,
  );
}

/** Tensors may share a storage, so that a small file could ask for any amount of work. */
function requireTotal(places: readonly Place[], maxBytes: number, path: string): void {
  const total = places.reduce((sum, { view: { shape, dtype } }) => sum + countOf(shape) * DTYPE_BYTES[dtype], 0);
  if (total > maxBytes)
    throw new InputError(`${path}: expected at most ${maxBytes} bytes in all tensors, found ${total}`);
}

async function readPlace(
  file: KnownFile,
  { view, begin }: Place,
  onPiece: (piece: Uint8Array, offset: number) => void,
): Promise<void> {
  const width = DTYPE_BYTES[view.dtype];
  const length = countOf(view.shape) * width;
  if (length === 0) return;
  const span = extent(view);
  const position = begin + span.begin * width;
  await reopen(file, async (handle) => {
    const buffer = new Uint8Array(Math.min(length, PIECE_BYTES));
    // Rows of a transposed matrix lie apart: all that it spans is read at once.
    const storage = isContiguous(view) ? undefined : allocate((span.end - span.begin) * width, file.path);
    if (storage) await readInto(handle, position, storage, file.path);
    for (let offset = 0; offset < length; offset += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, length - offset));
      if (storage) gather(storage, view, offset / width, piece, width);
      else await readInto(handle, position + offset, piece, file.path);
      onPiece(piece, offset);
    }
  });
}
