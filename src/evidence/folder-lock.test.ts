import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { copyFile, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InputError } from '../registry/index.js';
import { FolderLock } from './folder-lock.js';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weightlock-lock-'));
  path = join(folder, 'lock');
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const writeOwner = (owner: object) => writeFile(path, JSON.stringify({ host: hostname(), born: null, ...owner }));

/** The number of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  return Number(child.pid);
}

describe('FolderLock', () => {
  it('is held by one and free after release', async () => {
    const lock = await FolderLock.acquire(path);
    await expect(FolderLock.acquire(path)).rejects.toThrow(`in use by process ${process.pid}`);
    await lock.release();
    await (await FolderLock.acquire(path)).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it('goes to exactly one of many that find a dead one', async () => {
    const pid = await deadPid();
    // A takeover by remove and create let two in in half of such rounds.
    for (let round = 0; round < 30; round++) {
      await writeOwner({ pid });
      const results = await Promise.allSettled(Array.from({ length: 20 }, () => FolderLock.acquire(path)));
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const result of results) if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(InputError);
      expect(await readdir(folder)).toEqual(['lock']);
    }
  });

  it('is never half made, so that a process killed while it makes one blocks nobody', async () => {
    let made = false;
    const making = FolderLock.acquire(path).then(() => {
      made = true;
    });
    // What the disk has done can be seen here before the process that makes the lock can go on.
    while (readdirSync(folder).length === 0);
    while (!made) {
      if (existsSync(path)) expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ pid: process.pid });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await making;
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it('is free where a process was killed before it was made', async () => {
    await writeFile(join(folder, `.lock.${await deadPid()}.0123abcd.tmp`), '');
    await FolderLock.acquire(path);
    expect(JSON.parse(await readFile(path, 'utf8')).pid).toBe(process.pid);
  });

  it('is taken over from a dead process', async () => {
    await writeOwner({ pid: await deadPid() });
    await FolderLock.acquire(path);
    expect(JSON.parse(await readFile(path, 'utf8')).pid).toBe(process.pid);
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it('is taken over at once where the one that was taking it over died as well', async () => {
    const dead = await deadPid();
    await writeOwner({ pid: dead });
    await copyFile(path, `${path}.takeover`);
    await copyFile(path, `${path}.takeover.takeover`);
    await FolderLock.acquire(path);
    expect(JSON.parse(await readFile(path, 'utf8')).pid).toBe(process.pid);
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it('is taken over when the number of the dead process was given to another', async () => {
    await writeOwner({ pid: process.pid, born: 'another-boot:1' });
    await FolderLock.acquire(path);
    expect(JSON.parse(await readFile(path, 'utf8')).born).not.toBe('another-boot:1');
  });

  it('is not taken from a living process or another machine', async () => {
    await writeOwner({ pid: process.ppid });
    await expect(FolderLock.acquire(path)).rejects.toThrow(`in use by process ${process.ppid}`);
    await writeOwner({ pid: 1, host: 'elsewhere' });
    await expect(FolderLock.acquire(path)).rejects.toThrow(/on "elsewhere"; if that one is dead, delete .*lock$/);
  });

  it.each(['', '{"pid":', '{"pid":-1,"host":"x"}', '{"pid":0,"host":"x"}', 'null'])(
    'waits for a half-made one and takes over an old one: %s',
    async (content) => {
      await writeFile(path, content);
      // Young however long this process has to wait for its turn.
      await utimes(path, new Date(), new Date(Date.now() + 3_600_000));
      await expect(FolderLock.acquire(path)).rejects.toThrow('just opening');
      await utimes(path, new Date(0), new Date(0));
      await FolderLock.acquire(path);
      expect(JSON.parse(await readFile(path, 'utf8')).pid).toBe(process.pid);
    },
  );

  it("does not remove another's lock on release", async () => {
    const lock = await FolderLock.acquire(path);
    await writeOwner({ pid: process.ppid });
    await lock.release();
    expect(await readdir(folder)).toEqual(['lock']);
  });
});
