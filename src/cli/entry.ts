import { printableLines } from '../report/index.js';
import { describeFailure } from './errors.js';
import { main } from './program.js';

// What no one awaits, such as a full disk behind a redirected stdout, ends in one line too.
process.on('uncaughtException', (error) => {
  const { message, exitCode } = describeFailure(error, { debug: process.argv.includes('--debug') });
  process.stderr.write(`${printableLines(message ?? '')}\n`, () => process.exit(exitCode));
});
// Not process.exit: it would cut off output still on its way into a pipe.
process.exitCode = await main();
