export { parseOptions } from './options.js';
export { type Named, Registry } from './registry.js';
export { suggest } from './suggest.js';
