export type { SafetensorsFile, StoredDType, StoredTensor } from './dtypes.js';
export { InputError, InterruptedError, WeightlockError } from './errors.js';
export { readFileCapped, readJsonFile, resolveInside, writeFileAtomic } from './files.js';
