import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
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

const main = resolve('dist/cli/main.js');
const tested = ['--data.classes', '0,1', '--data.test-limit', '50'];
const data = [...tested, '--data.limit', '200'];
const training = [...data, '--steps', '5', '--batch-size', '16'];
const locking = [...data, '--specdef.steps', '3', '--specdef.batch-size', '16'];

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'weightlock-outputs-'));
  expect(weightlock('train', 'model', ...training).status).toBe(0);
});
afterAll(() => {
  rmSync(root, { recursive: true });
});

const at = (...names: string[]) => join(root, ...names);

function weightlock(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [main, ...args], { cwd: root, encoding: 'utf8', timeout: 120_000 });
}

/** The one line of a command that must refuse its output. */
function refusal(...args: string[]): string {
  const { status, stdout, stderr } = weightlock(...args, '--quiet');
  expect([status, stdout], args.join(' ')).toEqual([2, '']);
  expect(stderr).toMatch(/^error: [^\n]+\n$/);
  return stderr;
}

describe('a finished run', () => {
  it('writes its model again, to the byte, where it is gone', () => {
    const bytes = readFileSync(at('model/model.safetensors'));
    rmSync(at('model'), { recursive: true });
    const again = weightlock('train', 'model', ...training);
    expect([again.status, again.stderr]).toEqual([0, expect.stringContaining('model is gone; runs/train-')]);
    expect(readFileSync(at('model/model.safetensors')).equals(bytes)).toBe(true);
    expect(weightlock('train', 'model', ...training).stderr).toContain('this run is done');
  });

  it('refuses where another model lies in its place', () => {
    renameSync(at('model'), at('kept'));
    expect(weightlock('train', 'model', ...training, '--seed', '2').status).toBe(0);
    for (const more of [[], ['--dry-run']]) {
      expect(refusal('train', 'model', ...training, ...more)).toMatch(
        /model: expected what runs\/train-\w+ wrote there/,
      );
    }
    rmSync(at('model'), { recursive: true });
    renameSync(at('kept'), at('model'));
  });

  it('makes its report again, and refuses where its result was changed', () => {
    const args = ['attack', 'model', ...data, '--cost-steps', '0', '--score-steps', '2', '--per-class', '2'];
    args.push('--seeds', '1', '--search-seeds', '9', '--no-adaptive', '--workers', '0');
    const { report } = JSON.parse(weightlock(...args, '--json').stdout) as { report: string };
    const page = readFileSync(resolve(root, report), 'utf8');
    rmSync(resolve(root, report));
    expect(weightlock(...args).stderr).toContain('report.html: written again');
    expect(readFileSync(resolve(root, report), 'utf8')).toBe(page);
    appendFileSync(resolve(root, report, '../result.json'), ' ');
    expect(refusal(...args)).toMatch(/result\.json: expected what runs\/attack-\w+ wrote there/);
  });
});

describe('what a run reads', () => {
  it('counts by content: the file of --model-config', () => {
    const run = (width: number) => {
      writeFileSync(at('config.json'), JSON.stringify({ hidden_sizes: [width] }));
      const args = ['train', 'new', '--architecture', 'mlp', '--model-config', 'config.json', ...training];
      return weightlock(...args, '--dry-run', '--quiet').stdout.split('; ')[1];
    };
    expect(run(8)).not.toBe(run(9));
  });

  it('is not changed: a model is not written onto itself, however it is spelled', () => {
    const before = readFileSync(at('model/model.safetensors'));
    symlinkSync('model', at('link'));
    for (const [from, to] of [
      ['model', './gone/../model/'],
      ['model', 'link'],
      ['link', at('model')],
    ]) {
      const said = refusal('lock', from, to, ...locking, '--force');
      expect(said).toContain("expected another folder than the model's own, which is not changed");
    }
    expect(readFileSync(at('model/model.safetensors')).equals(before)).toBe(true);
  });
});

describe('an output', () => {
  it('that holds other weights is refused before any work, and overwritten whole with --force', () => {
    mkdirSync(at('locked'));
    writeFileSync(at('locked/model.safetensors.index.json'), '{"weight_map":{"a":"old.safetensors"}}');
    for (const name of ['old.safetensors', 'pytorch_model.bin']) writeFileSync(at('locked', name), 'old');
    expect(refusal('lock', 'model', 'locked', ...locking)).toContain('(--force overwrites it)');
    expect(weightlock('lock', 'model', 'locked', ...locking, '--force').status).toBe(0);
    expect(readdirSync(at('locked')).sort()).toEqual(readdirSync(at('model')).sort());
  });

  it('says what of a model is not copied', () => {
    mkdirSync(at('full'));
    for (const name of readdirSync(at('model'))) writeFileSync(at('full', name), readFileSync(at('model', name)));
    for (const name of ['README.md', 'pytorch_model.bin', 'tokenizer.json']) writeFileSync(at('full', name), '{}');
    const { status, stderr } = weightlock('lock', 'full', 'copied', ...locking, '--dry-run');
    expect([status, stderr]).toEqual([0, expect.stringContaining('not copied: "pytorch_model.bin"\n')]);
  });

  it('that cannot be written is found before any work, also by --dry-run', () => {
    writeFileSync(at('notes.txt'), 'mine');
    const out = existsSync('/proc/self') ? '/proc/weightlock/out' : 'notes.txt/out';
    for (const args of [
      ['train', out, ...training],
      ['lock', 'model', out, ...locking],
      ['evaluate', 'model', ...tested, '--predictions', out],
      ['train', 'unwritten', ...training, '--runs', out],
      ['demo', '--runs', out],
    ]) {
      expect(refusal(...args, '--dry-run')).toMatch(/: expected a (file that can be written|folder to write into)/);
      expect(refusal(...args)).toContain(out);
    }
    expect(existsSync(at('unwritten'))).toBe(false);
  });

  it('never replaces a file of another kind', () => {
    const [run] = readdirSync(at('runs')).filter((name) => name.startsWith('attack-'));
    for (const args of [
      ['evaluate', 'model', ...tested, '--predictions', 'notes.txt'],
      ['evaluate', 'model', ...tested, '--predictions', 'model/config.json', '--force'],
      ['report', join('runs', run), '--output', 'notes.txt'],
    ]) {
      expect(refusal(...args)).toContain('found another file, which is not overwritten');
    }
    expect(readFileSync(at('notes.txt'), 'utf8')).toBe('mine');
    expect(refusal('report', join('runs', run), '--output', 'model')).toContain('found a folder');
  });

  it('of predictions names the source of each example, the same for the same image in any selection', () => {
    const lines = (...classes: string[]) => {
      const args = ['--data.classes', ...classes, '--data.test-limit', '50', '--predictions', 'predictions.jsonl'];
      expect(weightlock('evaluate', 'model', ...args).status).toBe(0);
      const text = readFileSync(at('predictions.jsonl'), 'utf8');
      return text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { index: number; source: string; label: number; logits: number[] });
    };
    const both = lines('0,1');
    expect(both.map(({ index }) => index)).toEqual([...both.keys()]);
    expect(new Set(both.map(({ source }) => source)).size).toBe(both.length);
    // Where the classes change places, an image keeps its source and its logits; only its label is another.
    const logits = new Map(both.map((row) => [row.source, row]));
    const common = lines('1,0').filter(({ source }) => logits.has(source));
    expect(common.length).toBeGreaterThan(5);
    for (const { source, label, logits: found } of common) {
      expect(label).toBe(1 - (logits.get(source)?.label ?? -1));
      found.forEach((value, k) => {
        expect(value).toBeCloseTo(logits.get(source)?.logits[k] ?? Number.NaN, 4);
      });
    }
  });
});
