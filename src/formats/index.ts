export { CIFAR_SIZE, type CifarBatch, type CifarRecords, parseCifar, readCifar, readCifarNames } from './cifar.js';
export type { DecodedImage, ImageHeader } from './decoded-image.js';
export {
  DTYPE_BYTES,
  fromFloat32,
  isStoredDType,
  type StoredDType,
  type StoredTensor,
  storedByteLength,
  type TensorHeader,
  toFloat32,
} from './dtypes.js';

export {
  type FileContent,
  type FolderListing,
  liesWithin,
  listFolder,
  locateInside,
  type NewFile,
  type PlacedBytes,
  readFileCapped,
  readJsonFile,
  replaceFiles,
  resolveInside,
  writeFileAtomic,
} from './files.js';
export {
  findWeights,
  INDEX,
  readIndex,
  SINGLE,
  TORCH_INDEX,
  TORCH_SINGLE,
  type WeightFiles,
  type WeightFormat,
} from './find-weights.js';
export { describeNotFinite, findNotFinite, type NotFinite } from './finite.js';
export { type GgufValue, readGgufMetadata, requireCount } from './gguf/index.js';
export { readMaybeGzip } from './gzip.js';
export { type IdxFile, parseIdx, readIdx } from './idx.js';
export {
  decodeImage,
  decodeImageHeader,
  encodePng,
  IMAGE_NAME,
  type ImageLimits,
  readImage,
  readImageHeader,
} from './image-files.js';
/** @internal Protobuf messages of ONNX files. */
export * as onnx from './onnx/index.js';
export { type OpenTensors, openTensors, type Shard, type TensorFilesLimits } from './open-tensors.js';
export {
  encodeSafetensors,
  type PendingTensor,
  parseSafetensors,
  placedSafetensors,
  readSafetensors,
  type SafetensorsFile,
  safetensorsChunks,
  type TensorBytes,
  writeSafetensors,
} from './safetensors.js';
export type { HeaderMetadata } from './safetensors-header.js';
export { PLAIN_TEXT, readTable } from './tables/index.js';
export { TABLE_NAME, type Table, type TableFormat, type TableRow, tableFormat, tableLimits } from './tables/table.js';
export type { SafetensorsLimits } from './tensor-file.js';
export { versionOf, weightlockVersion } from './version.js';
export {
  asOutputError,
  fileErrorCode,
  isDiskError,
  isTemporary,
  makeFolder,
  type OutputKind,
  requireWritable,
  temporaryPath,
} from './writable.js';
