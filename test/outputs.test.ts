import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from './support/run-command.js';

const tested = ['--data.classes', '0,1', '--data.test-limit', '50'];
const data = [...tested, '--data.limit', '200'];
const training = [...data, '--steps', '5', '--batch-size', '16'];
const locking = [...data, '--specdef.steps', '3', '--specdef.batch-size', '16'];

let root: string;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'weightlock-outputs-'));
  expect((await weightlock('train', 'model', ...training)).status).toBe(0);
});
afterAll(() => {
  rmSync(root, { recursive: true });
});

const at = (...names: string[]) => join(root, ...names);

const weightlock = (...args: string[]) => runCommand(root, args);

/** The one line of a command that must refuse its output. */
async function refusal(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await weightlock(...args, '--quiet');
  expect([status, stdout], args.join(' ')).toEqual([2, '']);
  expect(stderr).toMatch(/^error: [^\n]+\n$/);
  return stderr;
}

describe('a finished run', () => {
  it('writes its model again, to the byte, where it is gone', async () => {
    const bytes = readFileSync(at('model/model.safetensors'));
    rmSync(at('model'), { recursive: true });
    const again = await weightlock('train', 'model', ...training);
    expect([again.status, again.stderr]).toEqual([0, expect.stringContaining('model is gone; runs/train-')]);
    expect(readFileSync(at('model/model.safetensors')).equals(bytes)).toBe(true);
    expect((await weightlock('train', 'model', ...training)).stderr).toContain('this run is done');
  });

  it('refuses where another model lies in its place', async () => {
    renameSync(at('model'), at('kept'));
    expect((await weightlock('train', 'model', ...training, '--seed', '2')).status).toBe(0);
    for (const more of [[], ['--dry-run']]) {
      expect(await refusal('train', 'model', ...training, ...more)).toMatch(
        /model: expected what runs\/train-\w+ wrote there/,
      );
    }
    rmSync(at('model'), { recursive: true });
    renameSync(at('kept'), at('model'));
  });

  it('makes its report again, and refuses where its result was changed', async () => {
    const args = ['attack', 'model', ...data, '--cost-steps', '0', '--score-steps', '2', '--per-class', '2'];
    args.push('--seeds', '1', '--search-seeds', '9', '--no-adaptive', '--workers', '0');
    const { report } = JSON.parse((await weightlock(...args, '--json')).stdout) as { report: string };
    const page = readFileSync(resolve(root, report), 'utf8');
    rmSync(resolve(root, report));
    expect((await weightlock(...args)).stderr).toContain('report.html: written again');
    expect(readFileSync(resolve(root, report), 'utf8')).toBe(page);
    appendFileSync(resolve(root, report, '../result.json'), ' ');
    expect(await refusal(...args)).toMatch(/result\.json: expected what runs\/attack-\w+ wrote there/);
  });
});

describe('what a run reads', () => {
  it('counts by content: the file of --model-config', async () => {
    const run = async (width: number) => {
      writeFileSync(at('config.json'), JSON.stringify({ hidden_sizes: [width] }));
      const args = ['train', 'new', '--architecture', 'mlp', '--model-config', 'config.json', ...training];
      return (await weightlock(...args, '--dry-run', '--quiet')).stdout.split('; ')[1];
    };
    expect(await run(8)).not.toBe(await run(9));
  });

  it('is not changed: a model is not written onto itself, however it is spelled', async () => {
    const before = readFileSync(at('model/model.safetensors'));
    symlinkSync('model', at('link'));
    for (const [from, to] of [
      ['model', './gone/../model/'],
      ['model', 'link'],
      ['link', at('model')],
    ]) {
      const said = await refusal('lock', from, to, ...locking, '--force');
      expect(said).toContain("expected another folder than the model's own, which is not changed");
    }
    expect(readFileSync(at('model/model.safetensors')).equals(before)).toBe(true);
  });
});

describe('an output', () => {
  it('that holds other weights is refused before any work, and overwritten whole with --force', async () => {
    mkdirSync(at('locked'));
    writeFileSync(at('locked/model.safetensors.index.json'), '{"weight_map":{"a":"old.safetensors"}}');
    for (const name of ['old.safetensors', 'pytorch_model.bin']) writeFileSync(at('locked', name), 'old');
    expect(await refusal('lock', 'model', 'locked', ...locking)).toContain('(--force overwrites it)');
    expect((await weightlock('lock', 'model', 'locked', ...locking, '--force')).status).toBe(0);
    expect(readdirSync(at('locked')).sort()).toEqual(readdirSync(at('model')).sort());
  });

  it('says what of a model is not copied', async () => {
    mkdirSync(at('full'));
    for (const name of readdirSync(at('model'))) writeFileSync(at('full', name), readFileSync(at('model', name)));
    for (const name of ['README.md', 'pytorch_model.bin', 'tokenizer.json']) writeFileSync(at('full', name), '{}');
    const { status, stderr } = await weightlock('lock', 'full', 'copied', ...locking, '--dry-run');
    expect([status, stderr]).toEqual([0, expect.stringContaining('not copied: "pytorch_model.bin"\n')]);
  });

  it('that cannot be written is found before any work, also by --dry-run', async () => {
    writeFileSync(at('notes.txt'), 'mine');
    const out = existsSync('/proc/self') ? '/proc/weightlock/out' : 'notes.txt/out';
    for (const args of [
      ['train', out, ...training],
      ['lock', 'model', out, ...locking],
      ['evaluate', 'model', ...tested, '--predictions', out],
      ['train', 'unwritten', ...training, '--runs', out],
      ['demo', '--runs', out],
    ]) {
      expect(await refusal(...args, '--dry-run')).toMatch(
        /: expected a (file that can be written|folder to write into)/,
      );
      expect(await refusal(...args)).toContain(out);
    }
    expect(existsSync(at('unwritten'))).toBe(false);
  });

  it('never replaces a file of another kind', async () => {
    const [run] = readdirSync(at('runs')).filter((name) => name.startsWith('attack-'));
    for (const args of [
      ['evaluate', 'model', ...tested, '--predictions', 'notes.txt'],
      ['evaluate', 'model', ...tested, '--predictions', 'model/config.json', '--force'],
      ['report', join('runs', run), '--output', 'notes.txt'],
    ]) {
      expect(await refusal(...args)).toContain('found another file, which is not overwritten');
    }
    expect(readFileSync(at('notes.txt'), 'utf8')).toBe('mine');
    expect(await refusal('report', join('runs', run), '--output', 'model')).toContain('found a folder');
  });

  it('of predictions names the source of each example, the same for the same image in any selection', async () => {
    const lines = async (...classes: string[]) => {
      const args = ['--data.classes', ...classes, '--data.test-limit', '50', '--predictions', 'predictions.jsonl'];
      expect((await weightlock('evaluate', 'model', ...args)).status).toBe(0);
      const text = readFileSync(at('predictions.jsonl'), 'utf8');
      return text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { index: number; source: string; label: number; logits: number[] });
    };
    const both = await lines('0,1');
    expect(both.map(({ index }) => index)).toEqual([...both.keys()]);
    expect(new Set(both.map(({ source }) => source)).size).toBe(both.length);
    // Where the classes change places, an image keeps its source and its logits; only its label is another.
    const logits = new Map(both.map((row) => [row.source, row]));
    const common = (await lines('1,0')).filter(({ source }) => logits.has(source));
    expect(common.length).toBeGreaterThan(5);
    for (const { source, label, logits: found } of common) {
      expect(label).toBe(1 - (logits.get(source)?.label ?? -1));
      found.forEach((value, k) => {
        expect(value).toBeCloseTo(logits.get(source)?.logits[k] ?? Number.NaN, 4);
      });
    }
  });
});
