import type { SafetensorsFile, StoredTensor } from '../formats/index.js';
import { InputError } from '../registry/index.js';
import type { OptimizerState, ParameterSet } from './optimizers/index.js';

/** Everything a training run needs to go on as if it had never stopped. */
export interface Checkpoint {
  /** Steps of the run that are done. */
  step: number;
  /** The parameters. */
  params: ParameterSet;
  /** The optimizer's state, for all of the parameters or for the trained part of them. */
  optimizer: OptimizerState;
  /** Other numbers of the run by name, such as running averages. */
  extra: Record<string, Float32Array | Float64Array>;
  /** JSON data, such as options and counters. */
  meta: Record<string, unknown>;
}

const format = 'weightlock-checkpoint-1';
const slotPattern = /^[a-z][a-z0-9_]*$/;

/**
 * Turns a checkpoint into the content of one safetensors file.
 *
 * The tensors are called `params/<name>`, `optimizer/<slot>/<name>` and `extra/<name>`, all of one axis; steps and meta
 * go into the metadata. Their bytes are views, not copies: write them before the next training step.
 *
 * @throws InputError when a step is no count, a slot's name is not made of a-z, 0-9 and _, or meta is not JSON data.
 */
export function checkpointToTensors(checkpoint: Checkpoint): SafetensorsFile {
  const { step, params, optimizer, extra, meta } = checkpoint;
  const tensors: StoredTensor[] = [];
  for (const [name, values] of params) tensors.push(store(`params/${name}`, values));
  for (const [slot, arrays] of Object.entries(optimizer.slots)) {
    if (!slotPattern.test(slot)) {
      throw new InputError(`checkpoint: expected an optimizer slot named like exp_avg, found ${JSON.stringify(slot)}`);
    }
    for (const [name, values] of arrays) tensors.push(store(`optimizer/${slot}/${name}`, values));
  }
  for (const [name, values] of Object.entries(extra)) tensors.push(store(`extra/${name}`, values));
  checkJson(meta, 'checkpoint meta', 0);
  return {
    tensors,
    metadata: {
      format,
      step: formatCount(step, 'step'),
      optimizer_step: formatCount(optimizer.step, 'optimizer_step'),
      // A slot without arrays has no tensor that would bring it back.
      optimizer_slots: JSON.stringify(Object.keys(optimizer.slots)),
      ...(optimizer.scalars && { optimizer_scalars: formatScalars(optimizer.scalars) }),
      meta: JSON.stringify(meta),
    },
  };
}

/**
 * Reads a checkpoint back; every array is a copy of its own.
 *
 * @param file - As {@link checkpointToTensors} made it, perhaps damaged on the way.
 * @param source - What error messages call it: the file's path.
 * @throws InputError that names the tensor or key, when anything is missing, unknown, repeated, of a wrong type or
 * size, or when the optimizer's slots do not belong to the parameters.
 */
export function tensorsToCheckpoint(file: SafetensorsFile, source = 'checkpoint'): Checkpoint {
  const { metadata } = file;
  if (textAt(metadata, 'format', source) !== format) {
    throw new InputError(`${source}: expected format ${format}, found ${JSON.stringify(metadata.format)}`);
  }
  const meta = jsonAt(metadata, 'meta', source);
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta)) {
    throw new InputError(`${source} meta: expected a JSON object, found ${JSON.stringify(meta).slice(0, 40)}`);
  }
  const params = new Map<string, Float32Array>();
  const slots = new Map(slotNames(metadata, source).map((slot) => [slot, new Map<string, Float32Array>()]));
  const extra = new Map<string, Float32Array | Float64Array>();

  for (const tensor of file.tensors) {
    const subject = `${source} tensor ${JSON.stringify(tensor.name)}`;
    const [group, ...path] = tensor.name.split('/');
    if (group === 'params' && path.length > 0) {
      put(params, path.join('/'), readFloat32(tensor, subject), subject);
    } else if (group === 'optimizer' && path.length > 1) {
      const arrays = slots.get(path[0]);
      if (!arrays) {
        throw new InputError(`${subject}: expected a slot among ${[...slots.keys()].join(', ') || 'none'}`);
      }
      put(arrays, path.slice(1).join('/'), readFloat32(tensor, subject), subject);
    } else if (group === 'extra' && path.length > 0) {
      const values = tensor.dtype === 'F64' ? readFloat64(tensor, subject) : readFloat32(tensor, subject);
      put(extra, path.join('/'), values, subject);
    } else {
      throw new InputError(`${subject}: expected params/<name>, optimizer/<slot>/<name> or extra/<name>`);
    }
  }
  checkSlots(slots, params, source);

  return {
    step: countAt(metadata, 'step', source),
    params,
    // fromEntries defines own properties, so that a name such as __proto__ stays a name.
    optimizer: {
      step: countAt(metadata, 'optimizer_step', source),
      slots: Object.fromEntries(slots),
      ...(Object.hasOwn(metadata, 'optimizer_scalars') && { scalars: scalarsAt(metadata, source) }),
    },
    extra: Object.fromEntries(extra),
    meta: { ...meta },
  };
}

/** Little-endian, as the file wants it and as every platform that Node.js has ONNX Runtime for stores its arrays. */
function store(name: string, values: Float32Array | Float64Array): StoredTensor {
  return {
    name,
    dtype: values instanceof Float64Array ? 'F64' : 'F32',
    shape: [values.length],
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  };
}

function readFloat32(tensor: StoredTensor, subject: string): Float32Array {
  return new Float32Array(copyBytes(tensor, 'F32', 4, subject));
}

function readFloat64(tensor: StoredTensor, subject: string): Float64Array {
  return new Float64Array(copyBytes(tensor, 'F64', 8, subject));
}

function copyBytes(tensor: StoredTensor, dtype: 'F32' | 'F64', width: number, subject: string): ArrayBuffer {
  const { shape, bytes } = tensor;
  if (tensor.dtype !== dtype) throw new InputError(`${subject}: expected ${dtype}, found ${tensor.dtype}`);
  if (shape.length !== 1) throw new InputError(`${subject}: expected one axis, found shape [${shape.join(', ')}]`);
  if (shape[0] * width !== bytes.length) {
    throw new InputError(`${subject}: expected ${shape[0]} values of ${width} bytes, found ${bytes.length} bytes`);
  }
  const copy = new ArrayBuffer(bytes.length);
  new Uint8Array(copy).set(bytes);
  return copy;
}

function put<Value>(map: Map<string, Value>, name: string, value: Value, subject: string): void {
  if (map.has(name)) throw new InputError(`${subject}: expected once, found again`);
  map.set(name, value);
}

/** Each slot must have one array for the same parameters as the others; how long it is, the optimizer decides. */
function checkSlots(slots: Map<string, Map<string, Float32Array>>, params: ParameterSet, source: string): void {
  const covered = new Set([...slots.values()].flatMap((arrays) => [...arrays.keys()]));
  for (const [slot, arrays] of slots) {
    for (const name of covered) {
      const subject = `${source} tensor ${JSON.stringify(`optimizer/${slot}/${name}`)}`;
      if (!params.has(name)) throw new InputError(`${subject}: expected a parameter of this name, found none`);
      if (!arrays.has(name)) throw new InputError(`${subject}: expected as other slots have it, found none`);
    }
  }
}

function formatScalars(scalars: Record<string, number>): string {
  checkJson(scalars, 'checkpoint optimizer_scalars', 0);
  return JSON.stringify(scalars);
}

function scalarsAt(metadata: Record<string, string>, source: string): Record<string, number> {
  const scalars = jsonAt(metadata, 'optimizer_scalars', source);
  const entries = typeof scalars === 'object' && scalars !== null ? Object.entries(scalars) : [];
  if (Array.isArray(scalars) || entries.length === 0 || !entries.every(([, value]) => typeof value === 'number')) {
    const found = JSON.stringify(scalars).slice(0, 80);
    throw new InputError(`${source} optimizer_scalars: expected numbers by name, found ${found}`);
  }
  return Object.fromEntries(entries);
}

function slotNames(metadata: Record<string, string>, source: string): string[] {
  const names = jsonAt(metadata, 'optimizer_slots', source);
  const valid = (name: unknown): name is string => typeof name === 'string' && slotPattern.test(name);
  if (!Array.isArray(names) || !names.every(valid) || new Set(names).size !== names.length) {
    throw new InputError(
      `${source} optimizer_slots: expected a list of different slot names, found ${JSON.stringify(names).slice(0, 80)}`,
    );
  }
  return names;
}

function textAt(metadata: Record<string, string>, key: string, source: string): string {
  const text: unknown = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
  if (typeof text !== 'string') throw new InputError(`${source} metadata: expected the key ${key}, found none`);
  return text;
}

function jsonAt(metadata: Record<string, string>, key: string, source: string): unknown {
  const text = textAt(metadata, key, source);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(`${source} ${key}: expected JSON, ${error instanceof Error ? error.message : String(error)}`);
  }
}

function formatCount(count: number, key: string): string {
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new InputError(`checkpoint ${key}: expected a count from 0 up, found ${count}`);
  }
  return String(count);
}

function countAt(metadata: Record<string, string>, key: string, source: string): number {
  const text = textAt(metadata, key, source);
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count)) {
    throw new InputError(`${source} ${key}: expected a count from 0 up, found ${JSON.stringify(text.slice(0, 40))}`);
  }
  return count;
}

/** Refuses what JSON would change in silence (Infinity to null, undefined to nothing, a Map to {}). */
function checkJson(value: unknown, path: string, depth: number): void {
  if (depth > 100) throw new InputError(`${path.slice(0, 80)}: expected at most 100 levels, found more (or a circle)`);
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)) return;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) checkJson(item, `${path}[${index}]`, depth + 1);
  } else if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    for (const [key, item] of Object.entries(value)) checkJson(item, `${path}.${key}`, depth + 1);
  } else {
    const found = typeof value === 'object' ? `a ${value.constructor?.name ?? 'bare object'}` : String(value);
    throw new InputError(`${path}: expected JSON data, found ${found}`);
  }
}
