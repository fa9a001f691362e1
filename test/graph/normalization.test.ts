import { testGroup } from './oracle.js';

testGroup('normalization');
