export { type Configurable, optionsOf, optionsUnder, withChoices } from './choice.js';
export { InputError, InterruptedError, OutputError, WeightlockError } from './errors.js';
export { parseOptions } from './options.js';
export { matchesAny } from './patterns.js';
export { type Named, Registry } from './registry.js';
export { suggest } from './suggest.js';
export { lineOf, quote } from './text.js';
