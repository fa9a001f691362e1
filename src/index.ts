/**
 * weightlock: locks open-weight neural networks against fine-tuning, attacks its own locks, and writes down the evidence.
 *
 * @packageDocumentation
 */
export * from './formats/index.js';
