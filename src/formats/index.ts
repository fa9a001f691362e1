export { InputError, InterruptedError, WeightlockError } from './errors.js';
export { readFileCapped, readJsonFile, resolveInside, writeFileAtomic } from './files.js';
export * as onnx from './onnx/index.js';
