import type { CliCommand } from '../command.js';
import { demo } from './demo.js';
import { doctor } from './doctor.js';

/** All commands, in the order of `weightlock --help`. A new one is a file beside this and an entry here. */
export const commands: readonly CliCommand[] = [demo, doctor];
