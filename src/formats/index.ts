export { InputError, InterruptedError, WeightlockError } from './errors.js';
export { readFileCapped, readJsonFile, resolveInside, writeFileAtomic } from './files.js';
