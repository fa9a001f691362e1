import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { InputError, WeightlockError } from '../registry/index.js';
import { RunFolder } from './run-folder.js';
import { readStatus } from './status.js';

const config = {
  alpha: 0.1,
  topK: 4,
  optimizer: { name: 'adamw', learningRate: 1e-7 },
  layers: ['a', 'b'],
  threads: 2,
};
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-runs-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const open = (options: { force?: boolean; config?: Record<string, unknown> } = {}) =>
  RunFolder.open({ root, command: 'lock', config, ...options });

/** A folder as a killed process leaves it: everything but DONE, no lock. */
async function interrupted(): Promise<string> {
  const run = await open();
  for (const step of [10, 20, 30]) run.appendMetric({ step, loss: 1 / step });
  await writeFile(run.checkpointPath('step-20.safetensors'), 'weights');
  await run.close();
  return run.path;
}

/** The metrics without the time of each, which must be there. */
async function metricsOf(path: string): Promise<string> {
  const text = await readFile(join(path, 'metrics.jsonl'), 'utf8');
  const time = /,"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"\}$/gm;
  expect(text.match(time) ?? []).toHaveLength(text.split('\n').length - 1);
  return text.replace(time, '}');
}

describe('a new run', () => {
  it('has a readable configuration, an environment without paths, and DONE last', async () => {
    const run = await open();
    expect([run.isDone, run.resumed]).toEqual([false, false]);
    expect(run.path).toMatch(/lock-[0-9a-f]{12}$/);
    run.appendMetric({ step: 1, loss: Number.NaN });
    await run.writeResult({ accuracy: 0.5, largest: Number.POSITIVE_INFINITY });
    expect(await readdir(run.path)).not.toContain('DONE');
    await run.done();
    const files = ['config.yaml', 'environment.json', 'metrics.jsonl', 'outputs.json', 'result.json', 'status.json'];
    expect((await readdir(run.path)).sort()).toEqual(['DONE', 'checkpoints', ...files]);
    const text = await readFile(run.file('config.yaml'), 'utf8');
    expect(parse(text)).toEqual(config);
    expect(text).toContain('  learningRate: 1e-7\n');
    const environment = JSON.parse(await readFile(run.file('environment.json'), 'utf8'));
    expect(environment).toMatchObject({ node: process.versions.node, threads: 2 });
    expect(JSON.stringify(environment)).not.toContain(process.cwd());
    expect(await metricsOf(run.path)).toBe('{"step":1,"loss":"NaN"}\n');
    expect(await run.readResult()).toEqual({ accuracy: 0.5, largest: 'Infinity' });
  });

  it('keeps other configurations and commands apart', async () => {
    const runs = await Promise.all([
      open(),
      open({ config: { ...config, alpha: 0.2 } }),
      RunFolder.open({ root, command: 'attack', config }),
    ]);
    expect(new Set(runs.map(({ path }) => path)).size).toBe(3);
    for (const run of runs) await run.close();
  });

  it('stays inside its folder', async () => {
    const run = await open();
    for (const name of ['../x', '/etc/passwd', '']) {
      expect(() => run.file(name)).toThrow(InputError);
      expect(() => run.checkpointPath(name)).toThrow(InputError);
    }
    await run.close();
  });

  it('refuses a record without a step, and any record once closed', async () => {
    const run = await open();
    expect(() => run.appendMetric({ step: 0.5 })).toThrow(RangeError);
    await run.close();
    expect(() => run.appendMetric({ step: 1 })).toThrow(WeightlockError);
    await expect(run.done()).rejects.toThrow('done or closed');
  });
});

describe('the same configuration again', () => {
  it('opens a finished run as done and changes nothing', async () => {
    const first = await open();
    await first.writeResult({ ok: true });
    await first.done();
    const before = await readFile(first.file('environment.json'), 'utf8');
    const again = await open();
    expect([again.isDone, again.resumed, again.path]).toEqual([true, false, first.path]);
    expect(await again.readResult()).toEqual({ ok: true });
    expect(await readFile(first.file('environment.json'), 'utf8')).toBe(before);
    expect(() => again.appendMetric({ step: 1 })).toThrow(WeightlockError);
  });

  it('resumes an interrupted run and says so in its environment', async () => {
    const path = await interrupted();
    const run = await open();
    expect([run.isDone, run.resumed, run.path]).toEqual([false, true, path]);
    expect(await run.checkpoints()).toEqual(['step-20.safetensors']);
    expect(JSON.parse(await readFile(run.file('environment.json'), 'utf8')).resumed).toHaveLength(1);
    await run.close();
  });

  it('cuts the metrics beyond the checkpoint, to the byte', async () => {
    const whole = await metricsOf(await interrupted());
    const run = await open();
    await run.truncateMetrics(20);
    expect((await run.readMetrics()).map(({ step }) => step)).toEqual([10, 20]);
    run.appendMetric({ step: 30, loss: 1 / 30 });
    expect(await metricsOf(run.path)).toBe(whole);
    await run.truncateMetrics(-1);
    expect(await run.readMetrics()).toEqual([]);
    await run.close();
  });

  it('drops a half-written last line, even one that is valid JSON by chance', async () => {
    const path = await interrupted();
    const whole = await metricsOf(path);
    for (const half of ['{"step":40,"lo', '{"step":40}', '{']) {
      await appendFile(join(path, 'metrics.jsonl'), half);
      const run = await open();
      run.appendMetric({ step: 40, loss: 0 });
      expect(await metricsOf(run.path)).toBe(`${whole}{"step":40,"loss":0}\n`);
      await run.truncateMetrics(30);
      await run.close();
    }
  });

  it('names a broken line in the middle', async () => {
    await appendFile(join(await interrupted(), 'metrics.jsonl'), 'no json\n{"step":50}\n');
    const run = await open();
    await expect(run.truncateMetrics(20)).rejects.toThrow(/metrics\.jsonl: line 4: expected a JSON object with a step/);
    await run.close();
  });

  it('sweeps away half-written files of a killed process, and nothing else', async () => {
    const path = await interrupted();
    await writeFile(join(path, '.result.json.123.0a1b2c3d.tmp'), 'half');
    await writeFile(join(path, 'checkpoints', '.step-30.safetensors.123.0a1b2c3d.tmp'), 'half');
    await writeFile(join(path, 'notes.tmp'), 'mine');
    const run = await open();
    expect((await readdir(run.path, { recursive: true })).filter((name) => name.endsWith('.tmp'))).toEqual([
      'notes.tmp',
    ]);
    await run.close();
  });

  it('begins anew in a folder in which a process was killed before it wrote the configuration', async () => {
    const { path } = await RunFolder.locate({ root, command: 'lock', config });
    await mkdir(path);
    await writeFile(join(path, '.config.yaml.123.0a1b2c3d.tmp'), 'alp');
    const run = await open();
    expect([run.resumed, run.isDone]).toEqual([false, false]);
    expect(parse(await readFile(run.file('config.yaml'), 'utf8'))).toEqual(config);
    await run.close();
  });

  it('locates without touching the disk', async () => {
    expect((await RunFolder.locate({ root, command: 'lock', config })).state).toBe('new');
    expect(await readdir(root)).toEqual([]);
    await interrupted();
    expect((await RunFolder.locate({ root, command: 'lock', config })).state).toBe('resumable');
  });
});

describe('a folder that is not ours', () => {
  it('is refused when its configuration was edited, naming the key', async () => {
    const path = await interrupted();
    const file = join(path, 'config.yaml');
    await writeFile(file, (await readFile(file, 'utf8')).replace('topK: 4', 'topK: 5'));
    await expect(open()).rejects.toThrow(/config\.yaml: topK: expected 4, found 5/);
    await expect(open()).rejects.toThrow(InputError);
    await writeFile(file, '{ not: [yaml');
    await expect(open()).rejects.toThrow(/config\.yaml: expected the YAML that weightlock wrote/);
  });

  it('is refused, and survives --force, when it holds files and no configuration', async () => {
    const path = await interrupted();
    await unlink(join(path, 'config.yaml'));
    await expect(open()).rejects.toThrow(/found files and no config\.yaml/);
    await expect(open({ force: true })).rejects.toThrow(/--force empties only folders that weightlock made/);
    expect(await readdir(path)).toEqual(expect.arrayContaining(['checkpoints', 'metrics.jsonl']));
  });

  it.each([
    ['the root is a file', async () => writeFile(join(root, 'runs'), '')],
    ['the root is a dangling link', async () => symlink(join(root, 'none', 'nowhere'), join(root, 'runs'))],
    [
      'the run folder is a file',
      async () => {
        const { path } = await RunFolder.locate({ root: join(root, 'runs'), command: 'lock', config });
        await mkdir(join(root, 'runs'));
        await writeFile(path, '');
      },
    ],
  ])('gives one clear line when %s', async (_, arrange) => {
    await arrange();
    const error = await RunFolder.open({ root: join(root, 'runs'), command: 'lock', config }).catch((e) => e);
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toMatch(/^[^\n]*lock-[0-9a-f]{12}: expected a folder to write into, found:? [^\n]+$/);
  });
});

describe('--force', () => {
  it('empties exactly that folder and begins anew', async () => {
    const other = await open({ config: { ...config, alpha: 0.9 } });
    other.appendMetric({ step: 1 });
    await other.done();
    const outside = join(root, 'outside');
    await writeFile(outside, 'kept');
    const path = await interrupted();
    await symlink(outside, join(path, 'checkpoints', 'link'));
    const run = await open({ force: true });
    expect([run.path, run.resumed, run.isDone]).toEqual([path, false, false]);
    expect([await run.readMetrics(), await run.checkpoints()]).toEqual([[], []]);
    expect(await other.readMetrics()).toHaveLength(1);
    expect(await readFile(outside, 'utf8')).toBe('kept');
    await run.close();
  });

  it('works on a finished run and on an edited configuration', async () => {
    const first = await open();
    await first.done();
    await appendFile(first.file('config.yaml'), 'extra: 1\n');
    const run = await open({ force: true });
    expect([run.isDone, run.resumed]).toEqual([false, false]);
    await run.close();
  });

  it('leaves a running run alone', async () => {
    const run = await open();
    run.appendMetric({ step: 1 });
    await expect(open({ force: true })).rejects.toThrow(/in use by process/);
    expect(await run.readMetrics()).toHaveLength(1);
    await run.close();
  });
});

describe('a run that is refused', () => {
  it('leaves nothing behind where it found nothing', async () => {
    const run = await open();
    await run.withdraw();
    expect(await readdir(root)).toEqual([]);
    expect((await RunFolder.locate({ root, command: 'lock', config })).state).toBe('new');
  });

  it.each<[string, (run: RunFolder) => void | Promise<void>]>([
    ['a measurement', (run) => run.appendMetric({ step: 1, loss: 1 })],
    ['a checkpoint', (run) => writeFile(run.checkpointPath('step-1.safetensors'), 'weights')],
    ['a file of its own', (run) => writeFile(run.file('report.html'), 'report')],
  ])('keeps %s', async (_, find) => {
    const run = await open();
    await find(run);
    await run.withdraw();
    expect(await readStatus(run.path)).toMatchObject({ state: 'stopped' });
    const again = await open();
    expect(again.resumed).toBe(true);
    await again.close();
  });

  it('keeps what an earlier process had begun', async () => {
    const begun = await open();
    await begun.close();
    const again = await open();
    await again.withdraw();
    expect((await RunFolder.locate({ root, command: 'lock', config })).state).toBe('resumable');
  });
});
