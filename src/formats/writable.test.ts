import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OutputError } from '../registry/index.js';
import { makeFolder, replaceFiles, requireWritable, writeFileAtomic } from './index.js';

vi.mock('node:fs/promises', async (original) => {
  const actual = await original<typeof import('node:fs/promises')>();
  return { ...actual, stat: vi.fn(actual.stat) };
});

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'weightlock-writable-'));
  writeFileSync(join(root, 'file'), 'kept');
  mkdirSync(join(root, 'folder'));
  symlinkSync(join(root, 'gone'), join(root, 'dangling'));
  symlinkSync('loop', join(root, 'loop'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

/** An error as the file system gives it. */
const systemError = (code: string) => Object.assign(new Error(`${code}: as the system says it`), { code });

describe('an output', () => {
  it.each([
    ['file', 'folder', /expected a folder to write into, found .*file, which is a file$/],
    ['file/below/deep', 'folder', /found .*\/file, which is a file$/],
    ['file/below', 'file', /expected a file that can be written, found .*\/file, which is a file$/],
    ['dangling', 'folder', /found a link to nothing \(.*dangling\)$/],
    ['dangling/below', 'file', /found a link to nothing \(.*dangling\)$/],
    ['dangling', 'file', /found a link to nothing \(.*dangling\)$/],
    ['loop', 'file', /found: a link that leads back to itself$/],
    ['folder', 'file', /expected a file that can be written, found a folder$/],
  ] as const)('%s cannot be written as a %s', async (name, kind, message) => {
    await expect(requireWritable(join(root, name), kind)).rejects.toThrow(message);
    await expect(requireWritable(join(root, name), kind)).rejects.toThrow(OutputError);
  });

  it.runIf(existsSync('/proc/self'))('below /proc is refused, and the attempt to make it ends', async () => {
    await expect(requireWritable('/proc/weightlock/out', 'folder')).rejects.toThrow('/proc/weightlock/out: expected');
    await expect(requireWritable('/proc/weightlock.json', 'file')).rejects.toThrow('/proc/weightlock.json: expected');
    await expect(makeFolder('/proc/weightlock/out')).rejects.toThrow(OutputError);
    await expect(writeFileAtomic('/proc/weightlock/out.json', '{}')).rejects.toThrow(OutputError);
    await expect(requireWritable('/dev/null', 'file')).rejects.toThrow('found a device or pipe');
  });

  it('that can be written is accepted, and nothing is left behind', async () => {
    const before = readdirSync(root, { recursive: true });
    for (const name of ['new', 'folder', 'a/b/c', 'folder/new']) await requireWritable(join(root, name), 'folder');
    for (const name of ['new.json', 'file', 'a/b/c.json']) await requireWritable(join(root, name), 'file');
    expect(readdirSync(root, { recursive: true })).toEqual(before);
    expect(readFileSync(join(root, 'file'), 'utf8')).toBe('kept');
  });

  it('larger than the disk is refused, saying how much there is', async () => {
    await expect(requireWritable(join(root, 'new'), 'folder', { bytes: 1e18 })).rejects.toThrow(
      /found \d+ bytes of free disk where 1000000000000000000 are needed$/,
    );
  });
});

describe('a disk that fills up or fails while it is written', () => {
  it.each([
    ['ENOSPC', 'no space left on the disk'],
    ['EDQUOT', 'the disk quota is used up'],
    ['EIO', 'the disk fails'],
    ['EROFS', 'a read-only file system'],
  ])('%s leaves what was there, and says that the command goes on', async (code, reason) => {
    const content = function* () {
      yield Uint8Array.of(1, 2, 3);
      throw systemError(code);
    };
    const path = join(root, 'file');
    const failure = await writeFileAtomic(path, content()).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(OutputError);
    expect(String(failure)).toContain(`${path}: expected a file that can be written, found: ${reason}`);
    expect(String(failure)).toContain('run the same command again, which resumes');
    const files = [
      { name: 'file', content: () => 'new' },
      { name: 'second', content },
    ];
    await expect(replaceFiles(root, files, ['file'])).rejects.toThrow(reason);
    expect(readFileSync(path, 'utf8')).toBe('kept');
    expect(readdirSync(root).sort()).toEqual(['dangling', 'file', 'folder', 'loop']);
  });

  it('is not taken for another fault', async () => {
    const content = () => {
      throw new TypeError('a bug');
    };
    await expect(replaceFiles(root, [{ name: 'x', content }])).rejects.toThrow(TypeError);
  });
});

it('files that are replaced together: the last one is the mark that all are there', async () => {
  const seen: string[][] = [];
  const chunks = (text: string) => ({
    *[Symbol.iterator]() {
      seen.push(readdirSync(root).filter((name) => !name.startsWith('.')));
      yield new TextEncoder().encode(text);
    },
  });
  writeFileSync(join(root, 'mark'), 'old');
  writeFileSync(join(root, 'stale'), 'old');
  const files = ['one', 'deep/two', 'mark'].map((name) => ({ name, content: () => chunks(name) }));
  await replaceFiles(root, files, ['stale', 'never-there']);
  // While content was made, everything old was still in its place and nothing new to be seen but a folder.
  for (const names of seen.slice(0, 2)) expect(names).toEqual(expect.arrayContaining(['mark', 'stale']));
  for (const names of seen) expect(names).not.toContain('one');
  expect(readdirSync(root).sort()).toEqual(['dangling', 'deep', 'file', 'folder', 'loop', 'mark', 'one']);
  expect(readFileSync(join(root, 'deep', 'two'), 'utf8')).toBe('deep/two');
  expect(readFileSync(join(root, 'mark'), 'utf8')).toBe('mark');
});

it('a folder that another process makes while it is looked for is a folder', async () => {
  vi.mocked(fs.stat).mockRejectedValueOnce(systemError('ENOENT'));
  await makeFolder(join(root, 'folder'));
  vi.mocked(fs.stat).mockRejectedValueOnce(systemError('ENOENT'));
  await expect(makeFolder(join(root, 'file'))).rejects.toThrow('which is a file');
});
