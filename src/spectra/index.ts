export { gramMatrix } from './gram.js';
export { allSingularValues, EXACT_SIDE, type LeadingOptions, leadingBlock, leadingSingularValues } from './leading.js';
