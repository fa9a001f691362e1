import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asOutputError } from '../../formats/index.js';
import { InputError, quote } from '../../registry/index.js';
import type { HubCache } from './cache.js';
import { type HubClient, type HubFile, reasonOf } from './client.js';

/** What a download tells of itself. */
export interface DownloadWatch {
  /** Hears of bytes that are there, those of an earlier attempt too; negative where they are thrown away. */
  onBytes(count: number): void;
}

/**
 * Downloads a file into the cache, unless its blob is there. What a broken connection leaves is kept and gone on from; size and
 * digest are checked before it counts.
 *
 * @throws InputError when the connection breaks, or what came is not the file that the hub lists.
 */
export async function downloadBlob(
  client: HubClient,
  cache: HubCache,
  { path, size, etag }: HubFile,
  commit: string,
  { onBytes }: DownloadWatch,
): Promise<void> {
  const blob = cache.blob(etag);
  if ((await stat(blob).catch(() => undefined))?.size === size) return onBytes(size);
  await mkdir(dirname(blob), { recursive: true }).catch((error: unknown) => {
    throw asOutputError(dirname(blob), error, 'folder');
  });
  const part = `${blob}.incomplete`;
  const file = await open(part, 'a').catch((error: unknown) => {
    throw asOutputError(part, error);
  });
  const name = `${client.id.name}: ${quote(path)}`;
  try {
    await fetchRest(client, { path, commit, name }, file, size, onBytes);
    await file.sync();
  } finally {
    await file.close();
  }
  const found = await digestOf(part, size, etag);
  if (found !== etag) {
    await rm(part, { force: true });
    const kind = etag.length === 64 ? 'SHA-256' : 'Git object';
    throw new InputError(
      `${name}: expected ${kind} ${etag}, found ${found}; what came was removed, run the same command again`,
    );
  }
  await rename(part, blob);
}

/** Appends what a file lacks. */
async function fetchRest(
  client: HubClient,
  { path, commit, name }: { path: string; commit: string; name: string },
  file: FileHandle,
  size: number,
  onBytes: (count: number) => void,
): Promise<void> {
  let done = (await file.stat()).size;
  if (done > size) {
    await file.truncate(0);
    done = 0;
  }
  onBytes(done);
  if (done === size) return;
  const response = await client.open(path, commit, done);
  if (done > 0 && response.status !== 206) {
    // A server that knows no ranges sends it all.
    await file.truncate(0);
    onBytes(-done);
    done = 0;
  }
  try {
    for await (const chunk of response.body ?? []) {
      done += chunk.length;
      if (done > size) break;
      // A full disk is no fault of the connection.
      await file.appendFile(chunk).catch((error: unknown) => {
        throw asOutputError(client.id.name, error);
      });
      onBytes(chunk.length);
    }
  } catch (error) {
    const explained = client.explained(error);
    if (explained === error || !(explained instanceof InputError)) throw explained;
    throw new InputError(
      `${name}: expected ${size} bytes, the connection broke after ${done} (${reasonOf(error)}); run the same command again, which goes on from there`,
    );
  }
  if (done === size) return;
  // No connection broke: this is another file than the one that is listed, and nothing to go on from.
  await file.truncate(0);
  const found = done > size ? 'more' : String(done);
  throw new InputError(`${name}: expected ${size} bytes, found ${found}; run the same command again`);
}

/** The digest that the hub names: SHA-256, or Git's of a small file. */
async function digestOf(path: string, size: number, etag: string): Promise<string> {
  const hash: Hash = etag.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}
