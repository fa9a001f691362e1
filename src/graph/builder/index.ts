export * from './convolution.js';
export * from './elementwise.js';
export * from './losses.js';
export * from './matrix.js';
export * from './movement.js';
export * from './normalization.js';
export * from './reduction.js';
export * from './spatial.js';
export type { ConvOptions } from './window.js';
