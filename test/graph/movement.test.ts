import { testGroup } from './oracle.js';

testGroup('movement');
