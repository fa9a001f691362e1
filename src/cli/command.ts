import { Argument, Command, Help, Option } from 'commander';
import type { z } from 'zod';
import { requireDevice } from '../engine/index.js';
import { RunFolder, type RunLocation, toJson } from '../evidence/index.js';
import { InputError, InterruptedError, OptionError } from '../registry/index.js';
import { wrap } from '../report/index.js';
import { withOptimizers } from '../training/index.js';
import { choiceHelp, repeatedHelp } from './choice-help.js';
import { commonOptions, commonSchema, type RunMode, readRunMode, runModeFlags } from './common-options.js';
import { readConfigFile } from './config-file.js';
import { describeConfig, describeRun } from './describe-run.js';
import { handleInterrupts } from './interrupt.js';
import { type OptionSet, type OptionSpec, type OptionsSchema, readOptions } from './option-spec.js';
import { type Flag, flagsOf, flagTerm, resolveOptions, type Source } from './options.js';
import type { Output } from './output.js';
import { Progress } from './progress.js';

/** Digests of the files that a run reads, by name: another file is another run, even under the same path. */
export type RunInputs = Readonly<Record<string, string>>;

/** Where a run's config.yaml notes its {@link RunInputs}. */
const INPUTS = 'inputs';

/** Heading of the options that every command has. */
const COMMON = 'Common options:';

/** A value without a flag; the YAML file may give it under its name. */
export interface ArgumentDefinition {
  /** Name in help, YAML and `context.arguments`. */
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  /** Whether the command cannot do without it. */
  readonly required: boolean;
  /** Whether it takes all values that follow; only for the last one. */
  readonly variadic?: boolean;
}

/** Values of the arguments, by name. */
export type ArgumentValues<A extends readonly ArgumentDefinition[]> = {
  [D in A[number] as D['name']]: D extends { variadic: true }
    ? string[]
    : D extends { required: true }
      ? string
      : string | undefined;
};

/** What a command is given to work with. */
export interface CommandContext<A extends readonly ArgumentDefinition[], S extends OptionsSchema>
  extends Omit<RunMode, 'config'> {
  /** Values of the arguments, by name. */
  arguments: ArgumentValues<A>;
  /** The command's own options, merged and checked. */
  options: z.output<S>;
  /** Of its options those that neither the user gave nor are a default: what another choice brought, by key. */
  presets: ReadonlyMap<string, unknown>;
  /** Keys of its options that were given as flags. */
  givenFlags: ReadonlySet<string>;
  /** Threads of the engine. */
  threads: number;
  /** Where the engine computes. */
  device: z.output<typeof commonSchema>['device'];
  /** Arguments and options, all defaults filled in: what the run folder is named after. */
  config: Readonly<Record<string, unknown>>;
  /** Aborted when the user stops the command; `signal.throwIfAborted()` between steps gives exit code 130. */
  signal: AbortSignal;
  /** Prints to stdout for people; nothing with --json. */
  print(text: string): void;
  /** Writes a piece of a text to stdout for people, without a line break of its own; nothing with --json. */
  write(text: string): void;
  /** Prints the result to stdout with --json; nothing without. */
  result(value: unknown): void;
  /** Prints a remark to stderr; nothing with --json or --quiet. */
  note(text: string): void;
  /** Starts a progress line on stderr; shows nothing with --json or --quiet. `done` is where a resumed run starts. */
  progress(options: { label: string; total?: number; done?: number; uneven?: boolean }): Progress;
  /** Opens the run folder of this command and configuration; it is closed when the command ends. */
  openRunFolder(inputs?: RunInputs): Promise<RunFolder>;
  /** Says where that run folder is and how far its run has come; changes nothing, for --dry-run. */
  locateRunFolder(inputs?: RunInputs): Promise<RunLocation>;
}

/** A command: what it is called, what it takes, and what it does. */
export interface CommandDefinition<A extends readonly ArgumentDefinition[], S extends OptionsSchema> {
  /** Name on the command line: lower-case letters, digits, dashes. */
  readonly name: string;
  /** One line: what it does. */
  readonly summary: string;
  /** Its arguments, in order. */
  readonly arguments: A;
  /** Its options: `z.strictObject`, each with `.describe()`, and a default where it can have one. */
  readonly schema: S;
  /**
   * What stands in for the defaults of options that nobody gave, by key, by what was given of others: a choice that brings its own.
   *
   * @param given - Value of an option that the user gave, as it was typed or stands in the file; undefined where he gave none.
   */
  presets?(given: (key: string) => unknown): Readonly<Record<string, unknown>>;
  /**
   * Options that say where it is run and decide nothing of what it finds, or hold a password: they are no part of the configuration,
   * and are never shown or written.
   */
  readonly apart?: readonly (keyof z.input<S> & string)[];
  /** Whole command lines that work. */
  readonly examples: readonly string[];
  /** Does the work. Returns 0 when done, 1 when an asserted property does not hold; throws for everything else. */
  run(context: CommandContext<A, S>): Promise<0 | 1>;
}

/** A command ready to be put into the program. */
export interface CliCommand {
  /** Name on the command line. */
  readonly name: string;
  /** The commander command without its options, which take most of the time to make: for the list of all commands. */
  outline(): Command;
  /**
   * Makes the commander command; `finish` hears the exit code.
   *
   * @throws TypeError when flags cannot express the schema, or two keys are the same.
   */
  build(output: Output, finish: (exitCode: 0 | 1) => void): Command;
}

/**
 * Makes a command of the command line: flags, YAML keys, defaults and help come from its schema.
 *
 * @example
 * export const count = defineCommand({
 *   name: 'count',
 *   summary: 'Count tensors.',
 *   arguments: [{ name: 'model', description: 'Model directory.', required: true }],
 *   schema: z.strictObject({ minSize: z.int().min(0).default(0).describe('Smallest tensor counted.') }),
 *   examples: ['weightlock count ./model --min-size 16'],
 *   run: async ({ arguments: { model }, options, print, result }) => { ...; return 0; },
 * });
 */
export function defineCommand<const A extends readonly ArgumentDefinition[], S extends OptionsSchema>(
  given: CommandDefinition<A, S>,
): CliCommand {
  return {
    name: given.name,
    outline: () => outline(given),
    build(output, finish) {
      // Here, so that a command may spread the options of a job and yet none is ignored in silence.
      const definition = { ...given, schema: withOptimizers(given.schema) };
      const own = readOptions(definition.schema);
      requireApart(definition, own);
      return build(definition, own, output, finish);
    },
  };
}

/** @throws TypeError when two options, or an option and an argument, have the same name. */
function requireApart(definition: { name: string; arguments: readonly ArgumentDefinition[] }, own: OptionSet): void {
  const keys = [own, commonOptions].flatMap((set) => [...set.specs.map(({ key }) => key), ...set.groups]);
  const names = [...keys, ...definition.arguments.map(({ name }) => name)];
  const taken = [...flagsOf(own), ...flagsOf(commonOptions)].map(({ option }) => option.long);
  const clash =
    names.find((name, index) => names.indexOf(name) !== index) ??
    [...taken, ...runModeFlags().map(({ long }) => long), '--help'].find((long, i, all) => all.indexOf(long) !== i);
  if (clash) throw new TypeError(`command ${definition.name}: ${clash} is defined twice`);
}

/** Name, summary and arguments. */
function outline(definition: { name: string; summary: string; arguments: readonly ArgumentDefinition[] }): Command {
  const command = new Command(definition.name).description(definition.summary);
  const usage = definition.arguments.map(({ name, description, required, variadic }) => {
    const shown = `${name}${variadic ? '...' : ''}`;
    // Optional to commander in any case: the YAML file may hold what the command line lacks.
    command.addArgument(new Argument(`[${shown}]`, description));
    return required ? `<${shown}>` : `[${shown}]`;
  });
  return command.usage([...usage, '[options]'].join(' '));
}

function build<A extends readonly ArgumentDefinition[], S extends OptionsSchema>(
  definition: CommandDefinition<A, S>,
  own: OptionSet,
  output: Output,
  finish: (exitCode: 0 | 1) => void,
): Command {
  const command = outline(definition);
  const ownFlags = flagsOf(own);
  const commonFlags = flagsOf(commonOptions);
  const specOf = new Map<Option, OptionSpec>([...ownFlags, ...commonFlags].map(({ option, spec }) => [option, spec]));
  const [choices, repeated] = [choiceHelp(own.specs), repeatedHelp(own)];
  for (const { option, spec } of ownFlags) {
    const heading = choices.heading(spec);
    if (heading !== undefined) option.helpGroup(heading);
    command.addOption(option.hideHelp(option.hidden || heading !== undefined || repeated.has(spec)));
  }
  for (const option of [...commonFlags.map((flag) => flag.option), ...runModeFlags()]) {
    command.addOption(option.helpGroup(COMMON));
  }
  command.addHelpOption(new Option('-h, --help', 'Show this help.').helpGroup(COMMON));
  command.configureHelp({
    visibleOptions: (of) => [
      ...Help.prototype.visibleOptions.call(new Help(), of),
      ...repeated.lines,
      ...choices.lines,
    ],
    optionTerm: (option) => {
      const spec = specOf.get(option);
      return spec ? flagTerm(spec, option) : option.flags;
    },
  });
  if (definition.examples.length > 0) {
    command.addHelpText('after', `\nExamples:\n${definition.examples.map((line) => `  ${line}`).join('\n')}`);
  }
  return command.action(async () =>
    finish(await execute(definition, own, command, [...ownFlags, ...commonFlags], output)),
  );
}

async function execute<A extends readonly ArgumentDefinition[], S extends OptionsSchema>(
  definition: CommandDefinition<A, S>,
  own: OptionSet,
  command: Command,
  flags: readonly Flag[],
  output: Output,
): Promise<0 | 1> {
  const mode = readRunMode(command.opts());
  const given = givenFlags(command, flags);
  const file = await readFile(definition, own, mode.config);
  const givenValue = (key: string) => given.get(key) ?? file.get(key);
  const chosen = Object.entries(definition.presets?.(givenValue) ?? {});
  const presets = new Map(chosen.filter(([key]) => givenValue(key) === undefined));
  const values = { flags: given, file, presets, fileName: mode.config };
  const argumentValues = readArguments(definition.arguments, command.args, file);
  const ownResolved = resolveOptions(definition.schema, own, values);
  const common = resolveOptions(commonSchema, commonOptions, values);
  const apart = new Set<string>(definition.apart);
  const config = {
    ...Object.fromEntries(Object.entries(argumentValues).filter(([, value]) => value !== undefined)),
    ...Object.fromEntries(Object.entries(ownResolved.options).filter(([key]) => !apart.has(key))),
    ...common.options,
  };
  const silent = mode.json || mode.quiet;
  const note = (text: string) => {
    if (!silent) output.note(wrap(text));
  };
  const sources = new Map([...ownResolved.sources, ...common.sources]);
  if (mode.verbose) note(describeConfig(definition.name, config, sources));
  const interrupts = handleInterrupts({ note });
  const opened: RunFolder[] = [];
  const runOptions = (inputs: RunInputs) => ({
    root: mode.runs,
    command: definition.name,
    config: Object.keys(inputs).length > 0 ? { ...config, [INPUTS]: inputs } : config,
  });
  try {
    // Before the command looks at anything, so that --dry-run finds it too.
    await requireDevice(common.options.device);
    return await definition.run({
      arguments: argumentValues,
      options: ownResolved.options,
      presets,
      givenFlags: new Set(given.keys()),
      ...common.options,
      runs: mode.runs,
      json: mode.json,
      dryRun: mode.dryRun,
      force: mode.force,
      quiet: mode.quiet,
      verbose: mode.verbose,
      debug: mode.debug,
      config,
      signal: interrupts.signal,
      print: (text) => {
        if (!mode.json) output.print(wrap(text));
      },
      write: (text) => {
        if (!mode.json) output.write(text);
      },
      result: (value) => {
        if (mode.json) output.json(toJson(value, 2));
      },
      note,
      progress: (options) => new Progress({ ...options, output: silent ? undefined : output }),
      openRunFolder: async (inputs = {}) => {
        const folder = await RunFolder.open({ ...runOptions(inputs), force: mode.force });
        opened.push(folder);
        // A finished run has its own remark.
        if (folder.isDone) return folder;
        const specs = [...own.specs, ...commonOptions.specs].filter(({ kind }) => kind !== 'file');
        const flags = specs.map(({ key, flag }) => [key, flag] as const);
        note(describeRun(definition.name, { config, arguments: argumentValues, sources, flags, folder }));
        return folder;
      },
      locateRunFolder: (inputs = {}) => RunFolder.locate(runOptions(inputs)),
    });
  } catch (error) {
    // Only what has a run folder is there to go on with; the rest begins anew.
    if (error instanceof InterruptedError && opened.length > 0) {
      throw new InterruptedError(`${error.message}; run the same command to resume`, { cause: error });
    }
    if (!(error instanceof OptionError)) throw error;
    const spec = [...own.specs, ...commonOptions.specs].find(({ key }) => key === error.key);
    throw spec ? new InputError(`${error.message}${origin(spec, sources, mode.config)}`, { cause: error }) : error;
  } finally {
    output.clearLive();
    for (const folder of opened) await folder.close();
    interrupts.dispose();
  }
}

/** Where a value came from, for the end of a message; of a default where another could be given. */
function origin({ key, flag, kind }: OptionSpec, sources: ReadonlyMap<string, Source>, file = '--config'): string {
  const source = sources.get(key);
  if (source === 'flag') return ` (flag ${flag})`;
  if (source === 'file') return ` (${file})`;
  return kind === 'file' ? '' : `; give ${flag} or the key in --config`;
}

/** Values of the flags that stand on the command line, by key. */
function givenFlags(command: Command, flags: readonly Flag[]): Map<string, unknown> {
  const given = new Map<string, unknown>();
  for (const { option, spec } of flags) {
    const name = option.attributeName();
    if (command.getOptionValueSource(name) === 'cli') given.set(spec.key, command.getOptionValue(name));
  }
  return given;
}

async function readFile(
  definition: { arguments: readonly ArgumentDefinition[] },
  own: OptionSet,
  path: string | undefined,
): Promise<Map<string, unknown>> {
  if (path === undefined) return new Map();
  return readConfigFile(path, {
    keys: new Set([
      ...[...own.specs, ...commonOptions.specs].map(({ key }) => key),
      ...definition.arguments.map(({ name }) => name),
      // So that a run's own config.yaml can be given to --config; what it noted of its inputs is found out again.
      INPUTS,
    ]),
    groups: new Set([...own.groups, ...commonOptions.groups]),
  });
}

function readArguments<A extends readonly ArgumentDefinition[]>(
  definitions: A,
  given: readonly string[],
  file: ReadonlyMap<string, unknown>,
): ArgumentValues<A> {
  const values: Record<string, string | string[] | undefined> = {};
  definitions.forEach(({ name, required, variadic }, index) => {
    const here = given.slice(index, variadic ? undefined : index + 1);
    const inFile = file.get(name);
    const all = here.length > 0 || inFile === undefined ? here : Array.isArray(inFile) ? inFile : [inFile];
    if (!all.every((value) => typeof value === 'string') || (all.length > 1 && !variadic)) {
      throw new InputError(`${name}: expected ${variadic ? 'texts' : 'one text'}, got ${JSON.stringify(inFile)}`);
    }
    if (all.length === 0 && required) throw new InputError(`missing argument <${name}>`);
    values[name] = variadic ? all : all[0];
  });
  // The loop has filled exactly the names that the type is made of.
  return values as ArgumentValues<A>;
}
