import { availableParallelism } from 'node:os';
import { Option } from 'commander';
import { z } from 'zod';
import { readOptions } from './option-spec.js';
import { valueFlag } from './options.js';

/** Options of every command that are part of its configuration: they change the bits of a result. */
export const commonSchema = z.strictObject({
  threads: z
    .int()
    .min(1)
    .max(1024)
    .default(() => availableParallelism())
    .describe('Threads of the engine; the same number gives the same bits.'),
  device: z.enum(['cpu', 'cuda', 'webgpu', 'coreml', 'dml']).default('cpu').describe('Where the engine computes.'),
});

/** {@link commonSchema} as flags and keys. */
export const commonOptions = readOptions(commonSchema);

/** How a command is run, whatever it computes; never part of the configuration. */
export interface RunMode {
  /** YAML file with options. */
  config?: string;
  /** Folder of all runs. */
  runs: string;
  /** Whether the result goes to stdout as JSON. */
  json: boolean;
  /** Whether everything is to be checked and nothing computed. */
  dryRun: boolean;
  /** Whether an existing result may be replaced. */
  force: boolean;
  /** Whether stderr holds errors only. */
  quiet: boolean;
  /** Whether stderr begins with the whole configuration. */
  verbose: boolean;
  /** Whether errors come with their stack. */
  debug: boolean;
}

/** The flags of {@link RunMode}. */
export function runModeFlags(): Option[] {
  return [
    valueFlag('--config <file>', 'YAML file with options; flags win over it.'),
    valueFlag('--runs <folder>', 'Folder of all runs. (default: runs)'),
    new Option('--json', 'Print the result as JSON on stdout, and only errors on stderr.'),
    new Option('--dry-run', 'Check everything and compute nothing.'),
    new Option('--force', 'Start anew where a run of the same configuration exists; its folder is emptied.'),
    new Option('--quiet', 'Print only results and errors.'),
    new Option(
      '--verbose',
      'Show every option with its value at the start; config.yaml in the run folder holds them too.',
    ),
    new Option('--debug', 'Show the stack of an error.'),
  ];
}

/** Reads {@link RunMode} from what commander parsed. */
export function readRunMode(values: Readonly<Record<string, unknown>>): RunMode {
  return {
    config: typeof values.config === 'string' ? values.config : undefined,
    runs: typeof values.runs === 'string' ? values.runs : 'runs',
    json: values.json === true,
    dryRun: values.dryRun === true,
    force: values.force === true,
    quiet: values.quiet === true,
    verbose: values.verbose === true,
    debug: values.debug === true,
  };
}
