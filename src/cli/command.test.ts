import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { InputError } from '../registry/index.js';
import { type CliCommand, defineCommand } from './command.js';
import { commands } from './commands/index.js';
import { Output } from './output.js';
import { runProgram } from './program.js';

const output = new Output({ stdout: process.stdout, stderr: process.stderr });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weightlock-cli-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const seen: Record<string, unknown>[] = [];
const sample = defineCommand({
  name: 'sample',
  summary: 'Do a sample of work.',
  arguments: [
    { name: 'model', description: 'Model directory.', required: true },
    { name: 'data', description: 'Data files.', required: false, variadic: true },
  ],
  schema: z.strictObject({
    steps: z.int().min(1).default(5).describe('Steps to take.'),
    fail: z
      .enum(['no', 'input', 'property', 'bug', 'interrupt', 'interrupted run'])
      .default('no')
      .describe('How to end.'),
    optimizer: z.strictObject({ learningRate: z.number().positive().default(0.1).describe('Step size.') }).prefault({}),
  }),
  examples: ['weightlock sample ./model --steps 3'],
  run: async (context) => {
    const { options, signal } = context;
    // Typed from the definitions: this line is also a compile-time check.
    const typed: [string, string[], number] = [context.arguments.model, context.arguments.data, options.steps];
    seen.push({ typed, config: context.config, threads: context.threads, device: context.device });
    if (options.fail === 'input') throw new InputError('bad weights');
    if (options.fail === 'bug') throw new TypeError('undefined is not a function');
    if (options.fail === 'interrupt') process.emit('SIGINT');
    signal.throwIfAborted();
    if (context.dryRun) {
      context.print(`${(await context.locateRunFolder()).state} run`);
      return 0;
    }
    const run = await context.openRunFolder();
    if (options.fail === 'interrupted run') process.emit('SIGINT');
    signal.throwIfAborted();
    context.print(run.isDone ? 'already done' : 'working');
    context.note('a remark');
    context.result({ done: run.isDone, loss: Number.NaN });
    if (!run.isDone) await run.done();
    return options.fail === 'property' ? 1 : 0;
  },
});

async function weightlock(argv: string[], available: readonly CliCommand[] = [sample]) {
  const [stdout, stderr]: string[][] = [[], []];
  const stream = (lines: string[]) => ({ write: (text: string) => lines.push(text), on: () => undefined });
  const exitCode = await runProgram(available, argv, new Output({ stdout: stream(stdout), stderr: stream(stderr) }));
  return { exitCode, stdout: stdout.join(''), stderr: stderr.join(''), context: seen.pop() };
}
const run = (...argv: string[]) => weightlock(['sample', ...argv, '--runs', folder]);

describe('a command', () => {
  it('gets arguments, options and common options, typed and with defaults', async () => {
    const { exitCode, context } = await run('m', 'a', 'b', '--steps', '7', '--threads', '3');
    expect(exitCode).toBe(0);
    expect(context).toEqual({
      typed: ['m', ['a', 'b'], 7],
      threads: 3,
      device: 'cpu',
      config: {
        model: 'm',
        data: ['a', 'b'],
        steps: 7,
        fail: 'no',
        optimizer: { learningRate: 0.1 },
        threads: 3,
        device: 'cpu',
      },
    });
  });

  it('takes what a choice brings in the place of defaults, never of what was given', async () => {
    const heard: unknown[] = [];
    const bringing = defineCommand({
      name: 'bringing',
      summary: 'Bring much.',
      arguments: [],
      schema: z.strictObject({
        suite: z.string().optional().describe('suite'),
        steps: z.int().default(240).describe('steps'),
        seeds: z.array(z.int()).default([1]).describe('seeds'),
      }),
      examples: [],
      presets: (given): Record<string, unknown> => (given('suite') === 'quick' ? { steps: 96, seeds: [1, 2] } : {}),
      run: async ({ options, presets }) => {
        heard.push([options.steps, options.seeds, [...presets.keys()]]);
        return 0;
      },
    });
    await writeFile(join(folder, 'a.yaml'), 'suite: quick\nseeds: [7]\n');
    for (const argv of [
      [],
      ['--suite', 'quick'],
      ['--suite', 'quick', '--steps', '5'],
      ['--config', join(folder, 'a.yaml')],
    ]) {
      expect((await weightlock(['bringing', ...argv], [bringing])).exitCode).toBe(0);
    }
    expect(heard).toEqual([
      [240, [1], []],
      [96, [1, 2], ['steps', 'seeds']],
      [5, [1, 2], ['seeds']],
      [96, [7], ['steps']],
    ]);
  });

  it('says in one line what it runs, without defaults, and where', async () => {
    await writeFile(join(folder, 'a.yaml'), 'optimizer: {learningRate: 0.5}\nmodel: my model\n');
    const { stdout, stderr } = await run('--config', join(folder, 'a.yaml'), '--steps', '7');
    const [name] = (await readdir(folder)).filter((entry) => entry !== 'a.yaml');
    // The folder's name is long here, so the line may be wrapped.
    expect(stderr.replaceAll('\n', ' ')).toBe(
      `weightlock sample "my model" --steps 7 --optimizer.learning-rate 0.5: ${join(folder, name)} a remark `,
    );
    expect(stdout).toBe('working\n');
  });

  it('shows the whole configuration with --verbose, with the source of what is no default', async () => {
    await writeFile(join(folder, 'a.yaml'), 'optimizer: {learningRate: 0.5}\nmodel: m\n');
    const { stderr } = await run(
      ...['--config', join(folder, 'a.yaml'), '--steps', '5', '--threads', '1', '--dry-run', '--verbose'],
    );
    expect(stderr).toBe(`weightlock sample
  model                   "m"
  data                    []
  steps                   5  (flag)
  fail                    "no"
  optimizer.learningRate  0.5  (file)
  threads                 1  (flag)
  device                  "cpu"
`);
  });

  it('wraps sentences at 80 columns, on stdout and stderr', async () => {
    const sentence = 'A sentence of many words that goes on for longer than eighty columns, as some do. '
      .repeat(2)
      .trim();
    const wordy = defineCommand({
      name: 'wordy',
      summary: 'Say much.',
      arguments: [],
      schema: z.strictObject({}),
      examples: [],
      run: async ({ print, note }) => {
        print(sentence);
        note(sentence);
        return 0;
      },
    });
    const { stdout, stderr } = await weightlock(['wordy'], [wordy]);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map(({ length }) => length <= 80),
    ).toEqual([true, true, true]);
    expect(stdout.replaceAll('\n', ' ').trimEnd()).toBe(sentence);
    expect(stderr).toBe(stdout);
  });

  it('prints one JSON value and nothing else with --json; results only with --quiet', async () => {
    const json = await run('m', '--json');
    expect([JSON.parse(json.stdout), json.stderr]).toEqual([{ done: false, loss: 'NaN' }, '']);
    const quiet = await run('m', '--quiet');
    expect([quiet.stdout, quiet.stderr]).toEqual(['already done\n', '']);
  });

  it('finds its finished run again, also from the config.yaml in it, and starts anew with --force', async () => {
    await run('m', '--steps', '9', '--optimizer.learning-rate', '1e-3');
    const [name] = await readdir(folder);
    const again = await run('--config', join(folder, name, 'config.yaml'));
    expect(again.stdout).toBe('already done\n');
    expect(await readdir(folder)).toEqual([name]);
    expect(await readFile(join(folder, name, 'config.yaml'), 'utf8')).toContain('learningRate: 0.001');
    expect((await run('--config', join(folder, name, 'config.yaml'), '--force')).stdout).toBe('working\n');
    expect((await run('m', '--steps', '8')).stdout).toBe('working\n');
  });

  it.each<[string[], number, string]>([
    [['m', '--fail', 'input'], 2, 'error: bad weights\n'],
    [['m', '--fail', 'property'], 1, ''],
    [['m', '--fail', 'bug'], 1, 'error: TypeError: undefined is not a function (unexpected; --debug shows where)\n'],
    [['m', '--fail', 'interrupt'], 130, 'interrupted\n'],
    [['m', '--fail', 'interrupted run'], 130, 'interrupted; run the same command to resume\n'],
    [[], 2, 'error: missing argument <model>\n'],
    [['m', '--step', '3'], 2, "error: unknown option '--step'; did you mean --steps?\n"],
    [['m', '--steps'], 2, 'error: --steps: expected a value, got the flag --json\n'],
    [['m', '--json', '--config'], 2, 'error: --config: expected a value, got the flag --json\n'],
    [['m', '--config='], 2, 'error: --config: expected a file, got an empty name\n'],
    [['m', '--steps', 'x'], 2, 'error: steps: expected a whole number at least 1, got "x" (flag --steps)\n'],
    [['m', '--config', 'none.yaml'], 2, 'error: none.yaml: expected a file, found nothing\n'],
  ])('%j ends with %d and one line', async (argv, code, stderr) => {
    const result = await run(...argv, '--json');
    expect([result.exitCode, result.stderr]).toEqual([code, stderr]);
    if (code !== 1 || stderr !== '') expect(result.stdout).toBe('');
  });

  it('leaves the disk alone with --dry-run', async () => {
    expect((await run('m', '--dry-run')).stdout).toBe('new run\n');
    expect(await readdir(folder)).toEqual([]);
    await run('m');
    expect((await run('m', '--dry-run')).stdout).toBe('done run\n');
  });

  it('shows the stack with --debug', async () => {
    expect((await run('m', '--fail', 'bug', '--debug', '--json')).stderr).toContain('command.test');
  });

  it('is the one that is named first, whatever words follow', async () => {
    const about = { name: 'other', summary: 'Do other work.', arguments: [], examples: [], schema: z.strictObject({}) };
    const other = defineCommand({ ...about, run: async () => 0 });
    const { stderr } = await weightlock(['sample', 'other', '--step', '3'], [other, sample]);
    expect(stderr).toBe("error: unknown option '--step'; did you mean --steps?\n");
  });

  it('explains itself', async () => {
    const { stdout, stderr, exitCode } = await weightlock(['sample', '--help']);
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Usage: weightlock sample <model> [data...] [options]');
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain(
      '--optimizer.learning-rate <number> Step size. (a number above 0; default: 0.1)',
    );
    expect(stdout).toContain('Examples:\n  weightlock sample ./model --steps 3\n');
    expect((await weightlock(['help', 'sample'])).stdout).toBe(stdout);
  });

  it.each([
    ['an option like a common one', z.strictObject({ threads: z.int().default(1) })],
    ['a flag like a common one', z.strictObject({ dryRun: z.boolean().default(false) })],
    ['an option like an argument', z.strictObject({ model: z.string().default('') })],
  ])('is refused when it has %s', (_, schema) => {
    const argument = { name: 'model', description: 'Model.', required: true };
    const about = { name: 'x', summary: 'X.', arguments: [argument], examples: [] };
    const command = defineCommand({ ...about, schema, run: async () => 0 });
    expect(() => command.build(output, () => undefined)).toThrow('is defined twice');
  });
});

describe('each command of the program', () => {
  it.each(commands.map((command) => [command.name, command] as const))('%s is documented', (name, command) => {
    const built = command.build(output, () => undefined);
    expect(built.description()).toMatch(/^[A-Z].*\.$/);
    const visible = built.options.filter(({ hidden }) => !hidden);
    for (const option of visible) expect(option.description, option.flags).toMatch(/^[A-Z]/);
    let help = '';
    built.configureOutput({
      writeOut: (text) => {
        help += text;
      },
    });
    built.outputHelp();
    const examples = help.slice(help.indexOf('Examples:')).split('\n').slice(1).filter(Boolean);
    expect(examples.length).toBeGreaterThan(0);
    const known = new Set(built.options.map(({ long }) => long));
    for (const line of examples) {
      expect(line.trim().split(' ').slice(0, 2)).toEqual(['weightlock', name]);
      for (const [flag] of line.matchAll(/--[a-z][a-z0-9.-]*/g)) expect(known, line).toContain(flag);
    }
  });
});
