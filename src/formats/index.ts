export {
  DTYPE_BYTES,
  fromFloat32,
  isStoredDType,
  type StoredDType,
  type StoredTensor,
  storedByteLength,
  toFloat32,
} from './dtypes.js';

export { InputError, InterruptedError, WeightlockError } from './errors.js';
export { readFileCapped, readJsonFile, resolveInside, writeFileAtomic } from './files.js';
/** @internal Protobuf messages of ONNX files. */
export * as onnx from './onnx/index.js';
export {
  encodeSafetensors,
  parseSafetensors,
  readSafetensors,
  type SafetensorsFile,
  type SafetensorsLimits,
  writeSafetensors,
} from './safetensors.js';
export { readTensorFiles, type Shard, type TensorFiles, type TensorFilesLimits } from './sharded.js';
