export type { TextStream } from './output.js';
export { main } from './program.js';
