import { testGroup } from './oracle.js';

testGroup('elementwise');
