import { cpSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeImageFolder } from './support/image-data.js';
import { runCommand } from './support/run-command.js';

/** Neither the usual order, size, channels, normalization nor split. */
const form = ['--data.size', '20', '--data.channels', '3', '--data.mean', '0.2', '--data.std', '0.4'];
const task = ['--data.classes', '2,0,1', '--data.split-seed', '5', ...form];

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-model-card-'));
  const made = await weightlock('train', 'model', ...task, '--steps', '60', '--quiet');
  expect(made.status).toBe(0);
});
afterAll(() => rm(root, { recursive: true }));

const weightlock = (...args: string[]) => runCommand(root, args);

interface Evaluated {
  metrics: { accuracy: number; loss: number };
  n: number;
  dataset: string;
  warnings: string[];
}

async function evaluated(...args: string[]): Promise<Evaluated> {
  const { status, stdout, stderr } = await weightlock('evaluate', ...args, '--json');
  expect([status, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as Evaluated;
}

/** Lines of stderr that warn. */
async function warnings(...args: string[]): Promise<string[]> {
  const { status, stderr } = await weightlock(...args);
  expect(status, stderr).toBe(0);
  // Long lines are broken at the width of the screen.
  const lines = stderr
    .trim()
    .replace(/\n(?!warning: |Not tried )\s*/g, ' ')
    .split('\n');
  return lines.filter((line) => line.startsWith('warning: '));
}

describe('a model directory is enough', () => {
  it('evaluate alone is what it is with all flags, of the model and of its locked copy', async () => {
    const given = await evaluated('model', ...task);
    expect(given.metrics.accuracy).toBeGreaterThan(0.8);
    expect(await evaluated('model')).toEqual(given);
    expect(given.warnings).toEqual([]);
    const short = ['--specdef.steps', '4', '--specdef.utility-floor', '0', '--specdef.max-kl', '1000'];
    const locked = await weightlock('lock', 'model', 'locked', ...short, '--json');
    expect([locked.status, locked.stderr]).toEqual([0, '']);
    const { test } = JSON.parse(locked.stdout) as {
      test: Record<'before' | 'after', { float32: Evaluated }>;
    };
    expect(test.before.float32.metrics.loss).toBeCloseTo(given.metrics.loss, 12);
    const { metrics, n } = await evaluated('locked');
    expect([metrics.accuracy, n]).toEqual([test.after.float32.metrics.accuracy, given.n]);
    expect(metrics.loss).toBeCloseTo(test.after.float32.metrics.loss, 12);
    expect(readFileSync(join(root, 'locked/README.md'), 'utf8')).toContain(
      'Locked against fine-tuning by `specdef`, 4 steps',
    );
  });

  it('classes are found by their names in other data', async () => {
    const names = ['2', '0', '1', 'zebra'];
    await writeImageFolder(join(root, 'pictures'), { classes: names, perClass: 30 });
    // In the folder the classes are 0, 1, 2, zebra.
    const other = await evaluated('model', '--data.name', 'images', '--data.path', 'pictures');
    expect(other.dataset).toContain('classes 2, 0, 1');
    expect(other.warnings).toEqual([]);
  });
});

describe('where data and card disagree', () => {
  it.each([
    [
      ['--data.classes', '1,0,2'],
      /^the classes of the data are in another order than the model's: 1, 0, 2; the model's are 2, 0, 1$/,
    ],
    [['--data.classes', '7,8'], /^the classes of the data are others than the model's: 7, 8; the model's are 2, 0, 1$/],
    [
      ['--data.mean', '0.1307'],
      /^the model's card says otherwise: mean 0\.2, 0\.2, 0\.2, here 0\.1307, 0\.1307, 0\.1307$/,
    ],
    [['--data.std', '0.3081'], /^the model's card says otherwise: deviation 0\.4, 0\.4, 0\.4, here 0\.3081/],
    [['--data.interpolation', 'bicubic'], /images resized bilinear, here bicubic$/],
  ])('evaluate %j warns, on stderr and in JSON, and does as it is told', async (flags, expected) => {
    const { warnings: found } = await evaluated('model', ...flags);
    expect(found).toEqual([expect.stringMatching(expected)]);
    expect(await warnings('evaluate', 'model', ...flags, '--dry-run')).toEqual([`warning: ${found[0]}`]);
    if (!String(flags).includes('mean')) return;
    expect(await warnings('lock', 'model', 'other', ...flags, '--dry-run')).toEqual([`warning: ${found[0]}`]);
  });

  it('reversed classes score what a reversed model would, beside the warning', async () => {
    const right = await evaluated('model', '--data.classes', '2,0,1');
    const wrong = await evaluated('model', '--data.classes', '1,0,2');
    expect(wrong.metrics.accuracy).toBeLessThan(right.metrics.accuracy - 0.4);
    expect([right.warnings.length, wrong.warnings.length]).toEqual([0, 1]);
  });

  it('part of the classes in the order of the model is no disagreement', async () => {
    expect((await evaluated('model', '--data.classes', '2,0')).warnings).toEqual([]);
  });

  it('a damaged card is said, not followed', async () => {
    cpSync(join(root, 'model'), join(root, 'damaged'), { recursive: true });
    const path = join(root, 'damaged/README.md');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('"splitSeed": 5', '"splitSeed": "\\u001b[31mfive"'));
    const { warnings: found } = await evaluated('damaged');
    expect(found).toEqual([expect.stringMatching(/^README\.md: data splitSeed: .*it is not used$/)]);
    writeFileSync(path, text.replace('"name": "digits"', '"name": "\\u001b[31m/etc"'));
    expect((await evaluated('damaged')).warnings).toEqual([
      expect.stringMatching(/^README\.md: data name: .*not used$/),
    ]);
    unlinkSync(path);
    unlinkSync(join(root, 'damaged/preprocessor_config.json'));
    const bare = await weightlock('evaluate', 'damaged', '--quiet');
    expect([bare.status, bare.stderr]).toEqual([2, expect.stringContaining('expected examples of shape [3,20,20]')]);
  });
});

describe('an attack that measures nothing', () => {
  const attack = (...args: string[]) => warnings('attack', 'model', ...args, '--dry-run');

  it('warns of authorized classes, and of an unlocked model that is the locked one wherever it lies', async () => {
    expect(await attack('--data.classes', '3,4,5')).toEqual([]);
    expect(await attack('--data.classes', '3,0')).toEqual([
      'warning: 1 of 2 classes of the attack are authorized, the model is released for them: 0',
    ]);
    expect((await attack('--data.classes', '1,2'))[0]).toMatch(/all classes of the attack are authorized.*: 1, 2$/);
    cpSync(join(root, 'model'), join(root, 'elsewhere'), { recursive: true });
    expect(await attack('--data.classes', '3,4', '--unlocked', 'elsewhere')).toEqual([
      'warning: the unlocked model has the weights of the locked one, so nothing is compared',
    ]);
    expect(await attack('--data.classes', '3,4', '--unlocked', 'locked')).toEqual([]);
  });

  it('warns of images prepared otherwise than the model’s', async () => {
    expect(await attack('--data.classes', '3,4', '--data.mean', '0.5')).toEqual([
      expect.stringContaining('mean 0.2, 0.2, 0.2, here 0.5'),
    ]);
  });
});

describe('an attack on a model whose card says how it was locked', () => {
  const data = ['--data.classes', '3,4', '--data.test-limit', '20'];
  const short = [
    '--cost-steps',
    '0',
    '--score-steps',
    '1',
    '--per-class',
    '1',
    '--optimizers',
    'sgd',
    '--workers',
    '0',
  ];
  const clip = [...data, ...short, '--seeds', '1', '--search-seeds', '9', '--attacks', 'clip'];
  /** What clips were, of an attack's rows; what it says of the lock; its warnings. */
  const attacked = async (model: string, ...flags: string[]) => {
    const { status, stdout, stderr } = await weightlock('attack', model, ...clip, ...flags, '--json');
    expect([status, stderr]).toEqual([0, '']);
    const found = JSON.parse(stdout);
    const steps = found.rows.flatMap((row: { composition: { transforms: unknown[] } }) => row.composition.transforms);
    const said = found.sentences.filter((sentence: string) => sentence.startsWith('Taken for known'));
    return { clips: steps.map((step: { options: object }) => step.options), said, warnings: found.warnings };
  };

  it('takes it from there, unless told otherwise, and says so', async () => {
    const locking = ['--specdef.steps', '2', '--specdef.utility-floor', '0', '--specdef.max-kl', '1000'];
    const raised = ['--specdef.top-k', '16', '--specdef.exclude', 'conv*'];
    expect((await weightlock('lock', 'model', 'raised', ...locking, ...raised, '--quiet')).status).toBe(0);
    const known = { topK: 16, exclude: ['conv*'], lead: { topK: 8, include: [] } };
    const sentence =
      'Taken for known: specdef raised 16 singular values of each matrix without conv*; options that were given stay.';
    expect(await attacked('raised')).toEqual({ clips: [known], said: [sentence], warnings: [] });
    expect((await attacked('raised', '--clip.top-k', '4')).clips).toEqual([{ ...known, topK: 4 }]);
    const unknowing = await attacked('raised', '--no-knows-lock');
    expect(unknowing).toMatchObject({ clips: [{ topK: 4, lead: { topK: 8, include: ['*conv*'] } }], said: [] });
    const dry = await weightlock('attack', 'raised', ...clip, '--dry-run');
    expect(dry.stderr.replace(/\s+/g, ' ')).toContain(sentence);
  });

  it('does without where the record is of no use, and says so', async () => {
    cpSync(join(root, 'raised'), join(root, 'lying'), { recursive: true });
    const path = join(root, 'lying/README.md');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('"topK": 16', '"topK": "\\u001b[31mmany"'));
    const { clips, said, warnings: found } = await attacked('lying');
    expect([clips, said]).toEqual([[{ topK: 4, lead: { topK: 8, include: ['*conv*'] } }], []]);
    expect(found).toEqual([
      expect.stringMatching(/^README\.md: lock: options of specdef: topK: .*; what it says of the lock is not used$/),
    ]);
  });
});

it('weights without config.json and with other classes end --dry-run too, with what to do', async () => {
  cpSync(join(root, 'model'), join(root, 'bare'), { recursive: true });
  const config = JSON.parse(readFileSync(join(root, 'bare/config.json'), 'utf8')) as Record<string, unknown>;
  unlinkSync(join(root, 'bare/config.json'));
  const refused = async (...args: string[]) => {
    const { status, stdout, stderr } = await weightlock('evaluate', 'bare', ...args, '--dry-run', '--quiet');
    expect([status, stdout]).toEqual([2, '']);
    return stderr;
  };
  expect(await refused()).toContain('bare/config.json: expected a file, found nothing; --architecture says what');
  const { id2label: _, label2id: __, ...keys } = config;
  writeFileSync(join(root, 'five.json'), JSON.stringify({ ...keys, num_labels: 5 }));
  expect(await refused('--architecture', 'cnn', '--model-config', 'five.json')).toContain(
    'bare: the weights have 3 classes (fc4.weight is [3, 84]), the given configuration has 5; give --model-config a JSON file with {"num_labels": 3}',
  );
});
