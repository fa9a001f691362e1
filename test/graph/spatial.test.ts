import { testGroup } from './oracle.js';

testGroup('spatial');
