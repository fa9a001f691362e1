import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type LockMethod, lockMethods } from '../../locks/index.js';
import {
  initializeModel,
  loadModel,
  type Model,
  readModelCard,
  saveModel,
  weightMatrices,
} from '../../models/index.js';
import { Output } from '../output.js';

/*
 * What a contributor writes who adds a lock method: a file that exports `scale`, and its name in the registry's list. Here
 * the entry is registered, which is the same line, before the command reads the registry.
 */

const options = z.strictObject({
  factor: z.number().positive().default(3).describe('what the matrix is multiplied by'),
  include: z.array(z.string()).default(['fc1.weight']).describe('names of the matrices'),
});

/** Multiplies some matrices by a constant: without data, steps or training. */
const scale: LockMethod<z.output<typeof options>> = {
  name: 'scale',
  description: 'multiply some matrices by a constant',
  class: 'symmetry',
  undoneBy: 'dividing by it',
  options,
  needsData: false,
  steps: () => 1,
  locks: (weights, { include }) => weightMatrices(weights, { include }).map(({ name }) => name),
  glance: ({ factor }) => `times ${factor}`,
  run: async ({ model, weights, onStep }, given) => {
    for (const name of scale.locks(weights, given, model)) {
      const data = weights.get(name)?.data;
      data?.forEach((value, index) => {
        data[index] = value * given.factor;
      });
    }
    onStep?.({ step: 1, factor: given.factor });
    return { steps: 1, stepsTried: 1, stoppedByBudget: false };
  },
};
lockMethods.register(scale as LockMethod);
const { lock } = await import('./lock.js');
const { runProgram } = await import('../program.js');

let root: string;
let model: Model;
const at = (...names: string[]) => join(root, ...names);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-lock-'));
  model = initializeModel('mlp', { num_labels: 3, hidden_sizes: [8, 6] }, 1);
  const metrics = [{ name: 'accuracy', value: 0.9, of: 'digits test', n: 10 }];
  const data = { title: 'digits', options: { name: 'digits', classes: [0, 1, 2] }, trainExamples: 100 };
  await saveModel(at('model'), model, { card: { classes: ['0', '1', '2'], data, metrics } });
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function weightlock(...args: string[]) {
  const [stdout, stderr]: string[][] = [[], []];
  const stream = (lines: string[]) => ({ write: (text: string) => lines.push(text), on: () => undefined });
  const output = new Output({ stdout: stream(stdout), stderr: stream(stderr) });
  const exitCode = await runProgram([lock], ['lock', ...args, '--runs', at('runs'), '--threads', '1'], output);
  const oneLine = (lines: string[]) => lines.join('').replaceAll(/\s*\n\s*/g, ' ');
  return { exitCode, stdout: stdout.join(''), text: oneLine(stdout), stderr: oneLine(stderr) };
}

describe('weightlock lock --method, of a method that is registered', () => {
  it('locks without data, and says what it did and what it did not measure', async () => {
    const { exitCode, stdout, stderr } = await weightlock(at('model'), at('out'), '--method', 'scale', '--json');
    expect([exitCode, stderr]).toEqual([0, '']);
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ steps: 1, stoppedByBudget: false });
    expect(found).not.toHaveProperty('test');
    expect(found.warnings).toEqual(['The utility of the locked model was not measured: no data were given.']);
    const { distance, ...moved } = found.moved;
    expect(moved).toEqual({ changed: 1, of: 6, most: { name: 'fc1.weight', distance: expect.closeTo(2, 6) } });
    expect(distance).toBeGreaterThan(1);
    expect(distance).toBeLessThan(2);

    const locked = await loadModel(at('out'));
    for (const [name, { data }] of model.weights) {
      const expected = name === 'fc1.weight' ? data.map((value) => value * 3) : data;
      expect(locked.weights.get(name)?.data, name).toEqual(expected);
    }
    const [run] = await readdir(at('runs'));
    const [line] = (await readFile(at('runs', run, 'metrics.jsonl'), 'utf8')).trimEnd().split('\n');
    expect(JSON.parse(line)).toMatchObject({ step: 1, phase: 'lock', factor: 3 });
    const config = await readFile(at('runs', run, 'config.yaml'), 'utf8');
    expect(config).toMatch(/scale:\n {2}factor: 3/);
    expect(config).not.toContain('specdef');
    expect(existsSync(at('runs', run, 'DONE'))).toBe(true);
  });

  it('writes the model card: the method, its options, what it raised; of the model what still holds', async () => {
    const { card, problems } = await readModelCard(at('out'), model);
    expect(problems).toEqual([]);
    expect(card.lock).toMatchObject({ method: 'scale', options: { factor: 3, include: ['fc1.weight'] }, steps: 1 });
    const [{ name, before, after }] = card.lock?.sigma ?? [];
    expect([name, after / before]).toEqual(['fc1.weight', expect.closeTo(3, 5)]);
    expect(card.data?.options).toEqual({ name: 'digits', classes: [0, 1, 2] });
    // Measured before the lock: no longer true.
    expect(card.metrics ?? []).toEqual([]);
    expect(await readFile(at('out', 'README.md'), 'utf8')).toContain('Locked against fine-tuning by `scale`, 1 step.');
  });

  it('says how far weights moved and what that did to the outputs, or that nothing changed', async () => {
    const known = await weightlock(at('model'), at('out'), '--method', 'scale');
    expect(known.text).toMatch(
      /Weights: 1 of 6 tensors changed, by 1\.\d{3} of their norm \(.*\); most fc1\.weight, by 2\.000 of its own\. Output error: not measured, as no data were given\./,
    );
    const data = ['--data.classes', '0,1,2', '--data.test-limit', '50'];
    const far = await weightlock(at('model'), at('far'), '--method', 'scale', ...data);
    expect(far.text).toMatch(/ tensors changed.*Output error: KL to the original \d.* nats on test examples\./);
    const strict = ['--specdef.steps', '2', '--specdef.max-kl', '1e-12', '--json'];
    const none = await weightlock(at('model'), at('none'), '--data.limit', '100', ...data, ...strict);
    expect(JSON.parse(none.stdout)).toMatchObject({ steps: 0, moved: { changed: 0, of: 6, distance: 0 } });
    const again = await weightlock(at('model'), at('none'), '--data.limit', '100', ...data, ...strict.slice(0, -1));
    expect(again.text).toContain('Weights: none of 6 tensors changed.');
  });

  it('measures the utility where data are given', async () => {
    const args = ['--method', 'scale', '--data.classes', '0,1,2', '--data.test-limit', '50', '--json'];
    const { exitCode, stdout } = await weightlock(at('model'), at('measured'), ...args);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout).test.after.float32.n).toBe(50);
    expect((await readModelCard(at('measured'), model)).card.metrics).not.toEqual([]);
  });

  it('says in a dry run which matrices, and estimates memory for training alone', async () => {
    const scaled = await weightlock(at('model'), at('dry'), '--method', 'scale', '--dry-run');
    expect(scaled.text).toContain(`would lock 1 weight matrices of ${at('model')} with scale;`);
    expect(scaled.text).not.toContain('memory');
    const specdef = await weightlock(at('model'), at('dry'), '--data.classes', '0,1,2', '--dry-run');
    expect(specdef.text).toMatch(
      /would lock 3 weight matrices of .* with specdef, \d+ examples; .* needs at most .* memory/,
    );
    expect(existsSync(at('dry'))).toBe(false);
  });

  it('takes several methods as stages, each with options under its name, and one name where a file lists none', async () => {
    const both = ['--method', 'redistil,scale', '--data.classes', '0,1,2', '--data.test-limit', '50', '--json'];
    const loose = [
      '--redistil.steps',
      '3',
      '--redistil.max-drop',
      '1',
      '--redistil.max-kl',
      'null',
      '--scale.factor',
      '2',
    ];
    const { exitCode, stdout } = await weightlock(at('model'), at('staged'), ...both, ...loose);
    expect(exitCode).toBe(0);
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ steps: 4, stoppedByBudget: false });
    expect(found.story.stages).toMatchObject([
      { method: 'redistil', steps: 3 },
      { method: 'scale', steps: 1 },
    ]);
    expect(found.after).not.toEqual(found.before);
    const { card } = await readModelCard(at('staged'), model);
    expect(card.lock).toMatchObject({
      method: 'redistil,scale',
      options: { redistil: { a: 0.5 }, scale: { factor: 2 } },
    });
    await writeFile(at('one.yaml'), 'method: scale\n');
    const one = await weightlock(at('model'), at('one'), '--config', at('one.yaml'), '--dry-run');
    expect(one.text).toContain('with scale;');
    const twice = await weightlock(at('model'), at('twice'), '--method', 'scale,scale', '--json');
    expect(JSON.parse(twice.stdout).story.stages).toHaveLength(2);
  });

  it('makes the same lock again with a given secret, which nothing tells, and another one without', async () => {
    const secret = '00112233445566778899aabbccddeeff';
    await writeFile(at('secret'), `${secret}\n`);
    const given = [
      ...['--method', 'redistil', '--data.classes', '0,1,2', '--data.limit', '100', '--data.test-limit', '50'],
      ...['--redistil.steps', '2', '--redistil.max-kl', 'null', '--redistil.max-drop', '1'],
    ];
    const bits = (name: string) => readFile(at(name, 'model.safetensors'));
    for (const name of ['same', 'again']) {
      const found = await weightlock(at('model'), at(name), ...given, '--secret', at('secret'));
      expect(found.exitCode).toBe(0);
      expect(found.stdout + found.stderr).not.toContain(secret);
      expect(await readFile(at(name, 'README.md'), 'latin1')).not.toContain(secret);
    }
    expect(await bits('again')).toEqual(await bits('same'));
    expect((await weightlock(at('model'), at('another'), ...given)).exitCode).toBe(0);
    expect(await bits('another')).not.toEqual(await bits('same'));
    await writeFile(at('word'), 'open sesame');
    const word = await weightlock(at('model'), at('no'), ...given, '--secret', at('word'));
    expect(word).toMatchObject({ exitCode: 2 });
    expect(word.stderr).toContain('word: expected a secret of 32 hexadecimal digits, found something else');
    expect((await weightlock(at('model'), at('no'), '--secret', at('secret'))).stderr).toContain(
      '--secret: expected a lock method that draws into the weights, got specdef',
    );
  });

  it('shows how far outputs move where a symmetry lock has no data', async () => {
    const { exitCode, text } = await weightlock(
      at('model'),
      at('balanced'),
      '--method',
      'rebalance',
      '--secret',
      at('secret'),
    );
    expect(exitCode).toBe(0);
    expect(text).toContain("Largest difference from the original's outputs on noise");
    expect(text).toMatch(/float32 +0\.0e\+0 +0\.0e\+0/);
    const both = await weightlock(at('model'), at('both'), '--method', 'rebalance,spectral-closed');
    expect(both.text).toContain("Largest difference from the original's outputs on noise");
  });

  it('gives the same weights where data are given, and the model is loaded for them', async () => {
    const data = ['--data.classes', '0,1,2', '--data.test-limit', '50'];
    const { exitCode, text } = await weightlock(
      at('model'),
      at('judged'),
      '--method',
      'rebalance',
      '--secret',
      at('secret'),
      ...data,
    );
    expect(exitCode).toBe(0);
    expect(text).not.toContain('on noise');
    const [alone, judged] = await Promise.all(
      ['balanced', 'judged'].map((name) => readFile(at(name, 'model.safetensors'))),
    );
    expect(judged).toEqual(alone);
    const dry = await weightlock(at('model'), at('dry'), '--method', 'rebalance', '--dry-run');
    expect(dry.text).toContain(`would lock 3 weight matrices of ${at('model')} with rebalance;`);
  });

  it('reads the tasks that attackers may be after, and refuses those that nothing uses', async () => {
    const given = [
      at('model'),
      at('trapped'),
      '--method',
      'trap',
      '--data.classes',
      '0,1,2',
      '--data.test-limit',
      '50',
    ];
    const short = ['--trap.steps', '2', '--trap.max-drop', '1', '--trap.max-kl', 'null', '--trap.attacks.steps', '2'];
    const proxies = ['--proxies', 'digits:3+4+5,digits:6+7+8'];
    const { exitCode, stdout, stderr } = await weightlock(...given, ...short, ...proxies, '--json');
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout).story.proxies).toHaveLength(2);
    expect(JSON.parse(stdout).steps).toBe(2);
    expect((await weightlock(...given)).stderr).toContain(
      'trap: expected tasks that an attacker may be after, got none; give --proxies',
    );
    expect((await weightlock(at('model'), at('no'), '--method', 'scale', ...proxies)).stderr).toContain(
      '--proxies: expected a lock method that takes tasks of an attacker, which trap, repnoise, tar and immunize need and erase may use, got scale',
    );
    expect((await weightlock(...given, '--proxies', ':3')).stderr).toContain('proxies: expected a data set or a path');
    for (const [proxy, message] of [
      ['nowhere', 'proxies: nowhere: expected a folder, found nothing (flag --proxies)'],
      ['digits:x', 'joined by + behind a colon, got "digits:x" (flag --proxies)'],
      ['digits:3', 'proxies: "digits:3": expected two classes or more'],
    ] as const) {
      const { exitCode, stderr } = await weightlock(...given, '--proxies', proxy);
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)]);
    }
  });

  it('takes the options of the chosen method alone', async () => {
    const refused = await weightlock(at('model'), at('no'), '--method', 'scale', '--specdef.alpha', '0.5');
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain(
      'specdef.alpha: expected options of scale alone, the chosen method, got 0.5 (flag --specdef.alpha)',
    );
    expect((await weightlock(at('model'), at('no'), '--scale.factor', '2')).stderr).toContain(
      'scale.factor: expected options of specdef alone, the chosen method',
    );
    expect((await weightlock(at('model'), at('no'), '--method', 'scael')).stderr).toContain('did you mean scale?');
    expect((await weightlock(at('model'), at('no'), '--method', 'scale', '--scale.include', 'no*')).stderr).toContain(
      'scale.include: expected a pattern that matches a weight matrix, got no* (flag --scale.include)',
    );
    expect(existsSync(at('no'))).toBe(false);
  });

  it('shows a group of options for each method in its help', async () => {
    const { text } = await weightlock('--help');
    expect(text.replaceAll(/\s+/g, ' ')).toContain(
      'Tasks that an attacker may be after, which trap, repnoise, tar and immunize need',
    );
    expect(text).toContain('--scale.factor');
    expect(text).toContain('--specdef.alpha');
  });
});
