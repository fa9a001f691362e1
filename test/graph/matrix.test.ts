import { testGroup } from './oracle.js';

testGroup('matrix');
