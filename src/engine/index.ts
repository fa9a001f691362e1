export { requireDevice } from './device.js';
export {
  compile,
  EngineError,
  type EngineOptions,
  type Feeds,
  type FlopTally,
  Program,
  type Results,
} from './program.js';
export { ProgramCache, programMemory, withPrograms } from './program-cache.js';
