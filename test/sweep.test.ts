import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initializeModel, saveModel } from '../src/models/index.js';
import { runCommand } from './support/run-command.js';

/** Attacks, one of which is the file's own. */
const tried = `    attacks: [fine-tune, biases]
    compositions:
      - name: biases
        trained: { name: by-name, options: { include: ['*.bias'] } }
`;
const plan = `models:
  - name: mlp
    released: locked
attacks:
  - name: few
    data: { classes: [3, 4], testLimit: 60 }
${tried}    optimizers: sgd
    adaptive: false
    costSteps: 0
    scoreSteps: 8
    perClass: 5
    seeds: [1, 2]
    searchSeeds: 9
`;
const flags = [
  ...['--data.classes', '3,4', '--data.test-limit', '60', '--optimizers', 'sgd', '--no-adaptive'],
  ...['--cost-steps', '0', '--score-steps', '8', '--per-class', '5', '--seeds', '1,2', '--search-seeds', '9'],
];
const how = ['--threads', '1', '--workers', '1', '--quiet'];

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-sweep-'));
  await saveModel(join(root, 'locked'), initializeModel('mlp', { num_labels: 2, hidden_sizes: [8, 6] }, 1));
  writeFileSync(join(root, 'plan.yaml'), plan);
});
afterAll(() => rm(root, { recursive: true, force: true }));

const run = (...args: string[]) => runCommand(root, args);
const folderOf = (command: string) => {
  const name = readdirSync(join(root, 'runs')).find((each) => each.startsWith(`${command}-`));
  return join(root, 'runs', name ?? 'none');
};
const resultOf = (command: string) => JSON.parse(readFileSync(join(folderOf(command), 'result.json'), 'utf8'));

/** A part of a plan as a configuration of attack. */
const config = (text: string) => text.replaceAll(/^ {4}/gm, '');
/** An attack that the file writes, in a plan as well as in a configuration. */
const written = (bits: number) => `    attacks: [coarse-norms]
    compositions:
      - name: coarse-norms
        transforms:
          - { name: quantize, options: { bits: ${bits} } }
        trained: norms-biases
`;

describe('an attack that a file writes', () => {
  const short = ['--data.classes', '3,4', '--data.test-limit', '60', '--optimizers', 'sgd', '--cost-steps', '0'];
  const attack = ['attack', 'locked', ...short, '--score-steps', '4', '--per-class', '2', '--seeds', '1'];

  it('is an attack as any other, and its definition a part of the run', async () => {
    const folders = [];
    for (const bits of [3, 4]) {
      writeFileSync(join(root, 'attack.yaml'), config(written(bits)));
      const dry = await run(...attack, '--config', 'attack.yaml', '--dry-run');
      expect(dry.status).toBe(0);
      folders.push(/runs\/attack-\w+/.exec(dry.stdout)?.[0]);
    }
    expect(new Set(folders).size).toBe(2);
    const attacked = await run(...attack, '--config', 'attack.yaml', '--workers', '0', '--runs', 'own', '--json');
    expect([attacked.status, attacked.stderr]).toEqual([0, '']);
    const row = JSON.parse(attacked.stdout).rows.find(({ kind }: { kind: string }) => kind === 'coarse-norms');
    expect(row).toMatchObject({
      ...{ start: 'locked', label: 'quantized', use: 'fine-tuning of norms and biases', adaptive: true },
      ...{ countsAs: 'locked', knows: ['that there is a lock'] },
      composition: {
        transforms: [{ name: 'quantize', options: { bits: 4 } }],
        trained: { name: 'norms-biases', options: {} },
      },
    });
    expect(row.result.trials).toHaveLength(1);
  });

  it.each([
    ['quantize', 'quantise', /^compositions\.0\.transforms\.0: transform: .*; did you mean "quantize"\?/],
    ['bits: 3', 'bit: 3', /^compositions\.0\.transforms\.0: quantize: unknown key .*; did you mean bits\?/],
    ['trained:', 'trains:', /^compositions\.0: unknown key "trains", expected only name/],
    ['name: coarse-norms', 'name: lora', /^compositions\.0\.name: expected a new name, lora is an attack/],
    ['[coarse-norms]', '[coarse-norm]', /^attacks: expected one of .*; did you mean "coarse-norms"\? \(wrong\.yaml\)/],
    ['[coarse-norms]', '[lora]', /^compositions: expected coarse-norms among the attacks that are tried, found lora/],
  ])('%j as %j is one line that names file or key', async (from, to, expected) => {
    const wrong = written(3).replace(from, to);
    writeFileSync(join(root, 'wrong.yaml'), config(wrong));
    const refused = await run(...attack, '--config', 'wrong.yaml', '--quiet');
    expect([refused.status, refused.stdout]).toEqual([2, '']);
    expect(refused.stderr).toMatch(/^error: [^\n]+\n$/);
    expect(refused.stderr.slice('error: '.length)).toMatch(expected);
    writeFileSync(join(root, 'wrong.yaml'), plan.replace(tried, wrong));
    const swept = await run('sweep', 'wrong.yaml', '--quiet');
    expect([swept.status, swept.stdout]).toEqual([2, '']);
    expect(swept.stderr).toMatch(/^error: wrong\.yaml: attacks\.0[.:][^\n]+\n$/);
  });
});

it('searches that would have one name are refused by both before anything runs', async () => {
  const alike = `    attacks: [x, x-schedule-free]
    compositions:
      - { name: x, trained: norms-biases }
      - { name: x-schedule-free, trained: norms-biases }
    optimizers: [adamw, schedule-free-adamw]
`;
  writeFileSync(join(root, 'attack.yaml'), config(alike));
  writeFileSync(join(root, 'alike.yaml'), plan.replace(`${tried}    optimizers: sgd\n`, alike));
  const ofAttack = ['attack', 'locked', '--config', 'attack.yaml', '--data.classes', '3,4'];
  const found =
    'attacks: expected a name of its own for each search, found x-schedule-free-adamw for x with schedule-free-adamw and for x-schedule-free with adamw\n';
  for (const [args, where] of [
    [ofAttack, ''],
    [['sweep', 'alike.yaml', ...how], 'alike.yaml: attacks.0: '],
  ] as const) {
    const { status, stdout, stderr } = await run(...args, '--runs', 'alike', '--quiet');
    expect([status, stdout, stderr]).toEqual([2, '', `error: ${where}${found}`]);
    expect(existsSync(join(root, 'alike'))).toBe(false);
  }
});

describe('a sweep of one model', () => {
  it('finds what attack finds, to the bit, prints it, and can be reported', async () => {
    const swept = await run('sweep', 'plan.yaml', ...how);
    expect([swept.status, swept.stderr]).toEqual([0, '']);
    writeFileSync(join(root, 'tried.yaml'), config(tried));
    const attacked = await run('attack', 'locked', '--config', 'tried.yaml', ...flags, ...how);
    expect([attacked.status, attacked.stderr]).toEqual([0, '']);
    const { seconds, ...found } = resultOf('attack');
    const { cells, failed, schema } = resultOf('sweep');
    expect([schema, failed, cells.length]).toEqual(['weightlock/sweep/1', [], 1]);
    const { seconds: times, ...own } = cells[0].attacked;
    expect(JSON.stringify({ schema: found.schema, ...own })).toBe(JSON.stringify(found));
    expect(Object.keys(times)).toEqual(Object.keys(seconds));
    expect(swept.stdout).toContain('Attacks on the unauthorized task');

    // Every trial lies in the store by itself as well.
    const trials = readdirSync(join(root, 'runs', 'artifacts', 'trials'), { recursive: true, encoding: 'utf8' });
    const all = Object.values(times as Record<string, number[]>).flat();
    expect(trials.filter((name) => name.endsWith('.json'))).toHaveLength(all.length);
    const { jobs } = JSON.parse(readFileSync(join(folderOf('sweep'), 'jobs.json'), 'utf8'));
    expect(jobs.map(({ state }: { state: string }) => state)).toEqual(Object.keys(times).map(() => 'done'));

    const page = join(folderOf('sweep'), 'report.html');
    const before = readFileSync(page, 'utf8');
    await rm(page);
    expect((await run('report', folderOf('sweep'))).status).toBe(0);
    expect(readFileSync(page, 'utf8')).toBe(before);
  });

  it('is planned without being run', async () => {
    const { status, stdout } = await run('sweep', 'plan.yaml', '--dry-run', '--runs', 'none', ...how);
    expect(status).toBe(0);
    for (const kind of ['fine-tune', 'biases']) {
      expect(stdout).toContain(`mlp, released, few: score-${kind}-sgd-locked, at most 10 trials`);
    }
    expect(stdout).toMatch(/would run 4 jobs, at most \d+ trials; none\/sweep-[0-9a-f]{12} \(new\)/);
    expect(existsSync(join(root, 'none'))).toBe(false);
  });
});

it('a sham lock is drawn as often as its lock', async () => {
  const lock = '    data: { classes: [0, 1] }\nlocks:\n  - { name: raised, method: specdef, seeds: [1, 2] }\n';
  writeFileSync(join(root, 'draws.yaml'), plan.replace('released: locked\n', `unlocked: locked\n${lock}`));
  const { stdout } = await run('sweep', 'draws.yaml', '--dry-run', '--runs', 'none', ...how);
  expect(stdout.match(/lock mlp by raised, seed \d(, sham)?/g)).toEqual(
    ['1', '2', '1, sham', '2, sham'].map((draw) => `lock mlp by raised, seed ${draw}`),
  );
});

describe('a plan that is wrong', () => {
  it.each([
    ['attacks:', 'atacks:', 'unknown key "atacks", expected only models, locks, attacks; did you mean attacks?'],
    ['optimizers:', 'optimisers:', /attacks\.0: unknown key "optimisers", expected only .*; did you mean optimizers\?/],
    ['sgd', 'sdg', 'attacks.0.optimizers.0: '],
    ['released: locked', 'released: nowhere', 'models.0: nowhere: '],
    ['released', 'unlocked', 'models.0.released: expected a locked model, or locks to make, found neither'],
    ['seeds: [1, 2]', 'seeds: [9]', 'attacks.0: seeds: expected none of the search'],
    ['[3, 4]', '[3, 14]', 'attacks.0: data.classes: '],
    // As `weightlock attack` does.
    [
      'optimizers: sgd',
      'optimizers: lbfgs',
      'attacks.0: attacks: expected an optimizer that needs the gradient alone for biases, found lbfgs',
    ],
    ['mlp', '../mlp', 'models.0.name: expected letters, digits, spaces'],
    ['released: locked', 'released: locked\n  - name: mlp\n    released: locked', 'models.1.name: mlp is given twice'],
    [plan, '- a\n- b', 'expected the keys models, locks and attacks'],
    [plan, 'a: &a [*a', 'expected YAML'],
  ])('%j as %j: one line that names file and key', async (right, wrong, message) => {
    writeFileSync(join(root, 'wrong.yaml'), plan.replace(right, wrong));
    const { status, stdout, stderr } = await run('sweep', 'wrong.yaml', '--runs', 'wrong', ...how);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error: wrong\.yaml: [^\n]*\n$/);
    expect(stderr).toMatch(message);
    expect(existsSync(join(root, 'wrong'))).toBe(false);
  });
});

it('a queue that cannot be reached is named without its password, which is written nowhere', async () => {
  const url = 'postgres://me:s3cret@127.0.0.1:1/sweeps';
  const ends = [
    await run('sweep', 'plan.yaml', '--queue', url, '--runs', 'far', '--verbose', '--threads', '1'),
    await run('worker', '--queue', url, '--artifacts', 'far-artifacts'),
  ];
  for (const { status, stdout, stderr } of ends) {
    expect(status).toBe(2);
    expect(stderr).toContain('PostgreSQL at 127.0.0.1:1/sweeps: expected a database, ');
    expect(stdout + stderr).not.toContain('s3cret');
  }
  const files = readdirSync(join(root, 'far'), { recursive: true, withFileTypes: true }).filter((each) =>
    each.isFile(),
  );
  expect(files.map(({ name }) => name)).toContain('config.yaml');
  for (const { parentPath, name } of files) {
    expect(readFileSync(join(parentPath, name), 'utf8'), name).not.toContain('s3cret');
  }
  expect((await run('worker', '--artifacts', 'x')).stderr).toContain('--queue: expected the PostgreSQL of the jobs');
  expect((await run('sweep', 'plan.yaml', '--workers', '0')).stderr).toContain('--workers: expected 1 or more');
});
