import { testGroup } from './oracle.js';

testGroup('reduction');
