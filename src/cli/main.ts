import { main } from './program.js';

// Not process.exit: it would cut off output still on its way into a pipe.
process.exitCode = await main();
