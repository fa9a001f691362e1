import type { CliCommand } from '../command.js';
import { attack } from './attack.js';
import { data } from './data.js';
import { demo } from './demo.js';
import { doctor } from './doctor.js';
import { embed } from './embed.js';
import { evaluate } from './evaluate.js';
import { generate } from './generate.js';
import { inspect } from './inspect.js';
import { list } from './list.js';
import { lock } from './lock.js';
import { predict } from './predict.js';
import { report } from './report.js';
import { reproduce } from './reproduce.js';
import { sweep } from './sweep.js';
import { train } from './train.js';
import { worker } from './worker.js';

/** All commands, in the order of `weightlock --help`. A new one is a file beside this and an entry here. */
export const commands: readonly CliCommand[] = [
  demo,
  train,
  lock,
  attack,
  sweep,
  worker,
  evaluate,
  inspect,
  predict,
  embed,
  generate,
  reproduce,
  report,
  data,
  list,
  doctor,
];
