import { testGroup } from './oracle.js';

testGroup('losses');
