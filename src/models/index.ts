export { parseOptions } from './options.js';
export { Registry } from './registry.js';
export { suggest } from './suggest.js';
