export { type Configurable, optionsOf, optionsUnder, withChoices } from './choice.js';
export { forOption, InputError, InterruptedError, OptionError, OutputError, WeightlockError } from './errors.js';
export { inWords } from './issues.js';
export { parseOptions } from './options.js';
export { matchesAny } from './patterns.js';
export { type Named, Registry } from './registry.js';
export { suggest } from './suggest.js';
export { lineOf, quote, shown } from './text.js';
