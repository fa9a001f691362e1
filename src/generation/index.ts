export { endTokens } from './end-tokens.js';
export { type Generated, type GenerateOptions, generate, type StopReason, TextGenerator } from './generator.js';
export type { Sampling } from './sampling.js';
export { TextStream } from './text-stream.js';
