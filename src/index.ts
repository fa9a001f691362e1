/**
 * weightlock: locks open-weight neural networks against fine-tuning, attacks its own locks, and writes down the evidence.
 * Each folder of the source is a namespace here, and a module of its own as `weightlock/locks`, `weightlock/attacks`, ... The
 * command line is only `weightlock/cli`, so that a library does not load it.
 *
 * @packageDocumentation
 */

export * as attacks from './attacks/index.js';
export * as data from './data/index.js';
export * as engine from './engine/index.js';
export * as evidence from './evidence/index.js';
export * as experiments from './experiments/index.js';
export * as formats from './formats/index.js';
export * as generation from './generation/index.js';
export * as graph from './graph/index.js';
export * as linalg from './linalg/index.js';
export * as locks from './locks/index.js';
export * as models from './models/index.js';
export * as nn from './nn/index.js';
export * as queue from './queue/index.js';
export * as registry from './registry/index.js';
export * as report from './report/index.js';
export * as spectra from './spectra/index.js';
export * as symmetries from './symmetries/index.js';
export * as tasks from './tasks/index.js';
export * as text from './text/index.js';
export * as theory from './theory/index.js';
export * as training from './training/index.js';
