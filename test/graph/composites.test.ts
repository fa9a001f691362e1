import { testGroup } from './oracle.js';

testGroup('composites');
