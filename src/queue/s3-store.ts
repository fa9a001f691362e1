import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { AwsClient } from 'aws4fetch';
import { makeFolder, resolveInside, temporaryPath } from '../formats/index.js';
import { InputError, WeightlockError } from '../registry/index.js';
import { type ArtifactStore, maxTextBytes, requireKey, type TreeFile } from './artifacts.js';
import { isDigest, listOf, parseTreeList, requireTree, treeDigest } from './tree.js';

/** Where an S3 store is, and who may use it: the usual environment variables of Amazon's own tools. */
export interface S3Settings {
  /** `s3://bucket/prefix`. */
  readonly address: string;
  /** Whose access it is. */
  readonly accessKeyId: string;
  /** Its secret, which signs requests and is never written. */
  readonly secretAccessKey: string;
  /** Of a temporary access. */
  readonly sessionToken?: string;
  /** Default us-east-1. */
  readonly region?: string;
  /** Of another service than Amazon's, such as MinIO. */
  readonly endpoint?: string;
  /** Folder of this machine for the trees that are read. */
  readonly cache: string;
}

/** Files are sent in one piece, and Node.js reads no larger ones at once; so none that is read is larger either. */
const maxFileBytes = 2 ** 31 - 1;
/** Of a refusal no more is read. */
const maxErrorBytes = 10_000;

/** A store in S3 or a service that speaks like it. It must know `If-None-Match: *`, by which the first of two that write wins. */
export class S3Store implements ArtifactStore {
  readonly #trees = new Map<string, Promise<string>>();

  private constructor(
    readonly name: string,
    readonly id: string,
    private readonly client: AwsClient,
    private readonly base: string,
    private readonly cache: string,
  ) {}

  /**
   * Opens a store, and makes it where there is none.
   *
   * @throws InputError when the address is none of S3, or the service refuses.
   */
  static async open(settings: S3Settings): Promise<S3Store> {
    const { address, accessKeyId, secretAccessKey, sessionToken, region = 'us-east-1', endpoint, cache } = settings;
    const [, bucket, prefix = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]+[a-z0-9])(?:\/([\w./-]*))?$/.exec(address) ?? [];
    if (bucket === undefined) throw new InputError(`${address}: expected s3://bucket/prefix`);
    const { AwsClient } = await import('aws4fetch');
    const client = new AwsClient({ accessKeyId, secretAccessKey, sessionToken, region, service: 's3', retries: 5 });
    const host = endpoint
      ? `${endpoint.replace(/\/+$/, '')}/${bucket}`
      : `https://${bucket}.s3.${region}.amazonaws.com`;
    const path = prefix.replace(/^\/+|\/+$/g, '');
    const base = path === '' ? host : `${host}/${path}`;
    const unnamed = new S3Store(address, '', client, base, cache);
    await unnamed.keep('store/id', randomUUID());
    const id = (await unnamed.read('store/id')) ?? '';
    if (!/^[0-9a-f-]{36}$/.test(id))
      throw new InputError(`${address}: expected a UUID as store/id, found something else`);
    return new S3Store(address, id, client, base, join(cache, id));
  }

  async read(key: string): Promise<string | undefined> {
    const response = await this.#fetch('GET', key, {}, [404]);
    if (response.status === 404) return undefined;
    return text(bytesOf(response, maxTextBytes, `${this.name}/${key}`));
  }

  keep(key: string, content: string): Promise<boolean> {
    return this.#put(key, new TextEncoder().encode(content));
  }

  async forget(key: string): Promise<void> {
    await this.#fetch('DELETE', key, {}, [404]);
  }

  async keepTree(files: readonly TreeFile[]): Promise<string> {
    const list = await listOf(files);
    const digest = treeDigest(list);
    if ((await this.read(`trees/${digest}/list.json`)) !== undefined) return digest;
    for (const { name, path } of files) {
      const { size } = await stat(path);
      if (size > maxFileBytes) throw new InputError(`${path}: expected at most ${maxFileBytes} bytes, found ${size}`);
      // By its digest: names of files may be anything.
      await this.#put(`blobs/${list[name]}`, await readFile(path));
    }
    // Last, so that a tree that has it is whole.
    await this.keep(`trees/${digest}/list.json`, JSON.stringify(list));
    return digest;
  }

  tree(digest: string): Promise<string> {
    const known = this.#trees.get(digest) ?? this.#download(digest);
    this.#trees.set(digest, known);
    known.catch(() => this.#trees.delete(digest));
    return known;
  }

  async #download(digest: string): Promise<string> {
    if (!isDigest(digest)) throw new InputError(`expected a digest of files, found ${JSON.stringify(digest)}`);
    const folder = join(this.cache, digest);
    const found = await this.read(`trees/${digest}/list.json`);
    if (found === undefined)
      throw new InputError(`${this.name}/trees/${digest}: expected files of this digest, found none`);
    const list = parseTreeList(found, `${this.name}/trees/${digest}/list.json`);
    if (!(await stat(folder).catch(() => undefined))) {
      await makeFolder(this.cache);
      const temporary = temporaryPath(folder);
      try {
        await mkdir(temporary, { recursive: true });
        for (const [name, wanted] of Object.entries(list)) {
          const path = resolveInside(temporary, name);
          await mkdir(dirname(path), { recursive: true });
          const key = `blobs/${wanted}`;
          const response = await this.#fetch('GET', key);
          await pipeline(bytesOf(response, maxFileBytes, `${this.name}/${key}`), createWriteStream(path));
        }
        await requireTree(temporary, list, digest);
        await rename(temporary, folder);
      } catch (error) {
        await rm(temporary, { recursive: true, force: true });
        // Another process of this machine has it meanwhile.
        if (!(await stat(folder).catch(() => undefined))) throw error;
      }
    }
    await requireTree(folder, list, digest);
    return folder;
  }

  async #put(key: string, content: Uint8Array): Promise<boolean> {
    // 409: another writes at the same moment; then it is asked again who was first.
    for (let attempt = 0; attempt < 5; attempt++) {
      const headers = { 'if-none-match': '*', 'content-length': String(content.byteLength) };
      const { status } = await this.#fetch('PUT', key, { body: content, headers }, [412, 409]);
      if (status !== 409) return status !== 412;
    }
    return false;
  }

  async #fetch(
    method: string,
    key: string,
    init: RequestInit = {},
    expected: readonly number[] = [],
  ): Promise<Response> {
    let response: Response;
    try {
      response = await this.client.fetch(`${this.base}/${requireKey(key)}`, { ...init, method });
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
      throw new WeightlockError(`${this.name}/${key}: ${method}: ${cause}`);
    }
    if (response.ok || expected.includes(response.status)) return response;
    const code = /<Code>(\w+)<\/Code>/.exec(await beginningOf(response))?.[1] ?? response.statusText;
    const Failure = response.status === 403 || response.status === 404 ? InputError : WeightlockError;
    throw new Failure(`${this.name}/${key}: ${method}: ${response.status} ${code}`);
  }
}

/**
 * What a service answers, piece by piece.
 *
 * @throws InputError as soon as it is more than so many bytes, whatever the answer says of its size.
 */
async function* bytesOf({ body, headers }: Response, most: number, source: string): AsyncGenerator<Uint8Array> {
  const stated = Number(headers.get('content-length') ?? 0);
  if (stated > most) {
    await body?.cancel();
    throw new InputError(`${source}: expected at most ${most} bytes, found ${stated}`);
  }
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    if (size > most) throw new InputError(`${source}: expected at most ${most} bytes, found more`);
    yield chunk;
  }
}

/** The first bytes of what a service answers. */
async function beginningOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size >= maxErrorBytes) break;
  }
  return Buffer.concat(chunks).toString();
}
