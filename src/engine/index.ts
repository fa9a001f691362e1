export { compile, EngineError, type EngineOptions, type Feeds, Program, type Results } from './program.js';
