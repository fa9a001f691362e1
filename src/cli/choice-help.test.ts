import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { attacks } from '../attacks/index.js';
import { attackOptions } from '../experiments/index.js';
import { optimizerOptions, optimizers, scheduleOptions, schedules } from '../training/index.js';
import { defineCommand } from './command.js';
import { commands } from './commands/index.js';
import { readOptions } from './option-spec.js';
import { Output } from './output.js';
import { runProgram } from './program.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weightlock-choice-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const configs: Record<string, unknown>[] = [];
const sample = defineCommand({
  name: 'sample',
  summary: 'Do a sample of work.',
  arguments: [],
  // As a command does that spreads the options of a job.
  schema: z.strictObject({ ...optimizerOptions({ optimizer: 'adamw' }), ...scheduleOptions('cosine') }),
  examples: [],
  run: async ({ config }) => {
    configs.push({ ...config });
    return 0;
  },
});
const twice = defineCommand({
  name: 'twice',
  summary: 'Do it twice.',
  arguments: [],
  schema: z.strictObject({
    a: z.strictObject(optimizerOptions({ optimizer: 'adamw' })).prefault({}),
    b: z.strictObject(optimizerOptions({ optimizer: 'sgd' })).prefault({}),
  }),
  examples: [],
  run: async () => 0,
});

async function weightlock(...argv: string[]) {
  const [stdout, stderr]: string[][] = [[], []];
  const stream = (lines: string[]) => ({ write: (text: string) => lines.push(text), on: () => undefined });
  const output = new Output({ stdout: stream(stdout), stderr: stream(stderr) });
  const exitCode = await runProgram([...commands, sample, twice], argv, output);
  return { exitCode, stdout: stdout.join(''), stderr: stderr.join(''), config: configs.pop() };
}

describe('options of what is chosen', () => {
  it('are in the configuration for what is chosen alone, with defaults', async () => {
    const { exitCode, config } = await weightlock(
      ...['sample', '--optimizer', 'sgd', '--sgd.momentum', '0.9', '--cosine.warmup-steps', '100'],
    );
    expect(exitCode).toBe(0);
    const { threads: _, device: __, ...own } = config ?? {};
    expect(own).toEqual({
      optimizer: 'sgd',
      sgd: { momentum: 0.9, dampening: 0, nesterov: false, weightDecay: 0 },
      clipNorm: 0,
      decay: 'all',
      rateFactors: [],
      schedule: 'cosine',
      cosine: { warmupSteps: 100, warmupStart: 0, minFactor: 0 },
    });
  });

  it.each([
    [
      ['--sgd.momentum', '0.9'],
      'sgd.momentum: expected options of adamw alone, the chosen optimizer, got 0.9 (flag --sgd.momentum)',
    ],
    [
      ['--step.gamma', '0.5'],
      'step.gamma: expected options of cosine alone, the chosen schedule, got 0.5 (flag --step.gamma)',
    ],
    [
      ['--adamw.betas', '0.9'],
      'adamw.betas: expected a list of 2 items of: a number at least 0 and below 1, got [0.9] (flag --adamw.betas)',
    ],
    [['--adamw.momentum', '1'], "unknown option '--adamw.momentum'"],
    [['--sgd.momentun', '1'], "unknown option '--sgd.momentun'; did you mean --sgd.momentum?"],
    [['--gamma', '1'], "unknown option '--gamma'; did you mean --step.gamma?"],
    [
      ['--optimizer', 'adam', '--decay', 'matrices'],
      'decay: expected an optimizer whose weightDecay is above 0 (chosen: adam), got "matrices" (flag --decay)',
    ],
  ])('%j is one error', async (argv, message) => {
    const { exitCode, stderr } = await weightlock('sample', ...argv);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(`error: ${message}`)]);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});

describe('help', () => {
  it('has one line for each entry, with its defaults, none wider than 80 columns', async () => {
    const { stdout } = await weightlock('sample', '--help');
    const words = stdout.replaceAll(/\s+/g, ' ');
    for (const { name } of [...optimizers.entries(), ...schedules.entries()]) expect(stdout).toContain(`--${name}.*`);
    expect(words).toContain('--sgd.* momentum 0, dampening 0, nesterov false, weight-decay 0 ');
    expect(words).toContain('Options of what --optimizer chooses (see weightlock list optimizers):');
    expect(stdout).not.toContain('--sgd.momentum');
    expect(Math.max(...stdout.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(80);
    expect(stdout.split('\n').length).toBeLessThan(100);
  });

  it('has one line for each choice where there are several of one kind', async () => {
    const words = (await weightlock('twice', '--help')).stdout.replaceAll(/\s+/g, ' ');
    expect(words).toContain('--a.sgd.* Of what --a.optimizer chooses, such as --a.sgd.momentum.');
    expect(words).toContain('--b.sgd.* Of what --b.optimizer chooses');
    expect(words).not.toContain('--a.adam.*');
  });
});

it('help has one line for a group with the options of another, and says what it is', async () => {
  const { stdout } = await weightlock('attack', '--help');
  const words = stdout.replaceAll(/\s+/g, ' ');
  expect(words).toContain('--data.name <name> Data set;');
  expect(words).toMatch(/--retain\.\* Examples like those of the authorized task, [^.]+\. Options as of --data\.\*\./);
  expect(stdout).not.toContain('--retain.name');
  // They are options all the same.
  const { exitCode, stderr } = await weightlock('attack', 'nowhere', '--retain.nam', 'digits');
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining('did you mean --retain.name?')]);
});

describe('weightlock list', () => {
  it('explains every option of every entry', async () => {
    const { stdout, exitCode } = await weightlock('list', 'optimizers');
    expect(exitCode).toBe(0);
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain(
      '--sgd.momentum: Share of the last direction that is kept; 0 keeps none. (a number at least 0; default: 0)',
    );
    const { stdout: json } = await weightlock('list', 'optimizers', '--json');
    const found: { name: string; options: { key: string; default: unknown }[] }[] = JSON.parse(json);
    expect(found.map(({ name }) => name)).toEqual(optimizers.names());
    for (const { name, options } of found) {
      const given = optimizers.get(name).options.parse({});
      expect(options.map((option) => [option.key, option.default])).toEqual(
        Object.entries(given).map(([key, value]) => [`${name}.${key}`, value]),
      );
    }
  });

  it('shows attacks, and the options of what they are made of, as flags that the command has', async () => {
    const found = async (what: string) => {
      const { stdout } = await weightlock('list', what, '--json');
      return JSON.parse(stdout) as { name: string; remark?: string; options: { flag: string }[] }[];
    };
    const made = await found('attacks');
    expect(made.map(({ name }) => name)).toEqual(attacks.names());
    expect(made.find(({ name }) => name === 'clip-rescale')?.remark).toBe(
      'Transforms: clip, then rescale; trained part: all; suite quick; for attackers who know that there is a lock',
    );
    expect(made.find(({ name }) => name === 'dora')?.remark).toMatch(/; trained part: dora; suite full$/);
    const flagsOf = async (what: string) =>
      (await found(what)).flatMap(({ options }) => options.map(({ flag }) => flag));
    const flags = readOptions(attackOptions).specs.map(({ flag }) => flag);
    const parts = [...(await flagsOf('transforms')), ...(await flagsOf('parts'))];
    expect(parts).toEqual(
      expect.arrayContaining(['--clip.lead.top-k', '--reset', '--lora.rank', '--interpolate.parent']),
    );
    for (const flag of parts) expect(flags).toContain(flag);
  });

  it('says what step does in a run, and knows what can be listed', async () => {
    const { stdout } = await weightlock('list', 'schedules');
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain('--step.step-size: Steps between two falls; default an epoch.');
    const { exitCode, stderr } = await weightlock('list', 'optimisers');
    expect([exitCode, stderr]).toEqual([
      2,
      'error: list: expected one of optimizers, schedules, attacks, locks, transforms, parts, found "optimisers"; did you mean "optimizers"?\n',
    ]);
  });
});
