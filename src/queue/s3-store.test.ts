import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { InputError } from '../registry/index.js';
import { S3Store } from './s3-store.js';
import { filesOf } from './tree.js';

/** What the service holds, by path: it speaks as much of S3 as a store needs, and looks for a signature. */
const objects = new Map<string, Buffer>();
/** Paths whose answers do not end, and what was sent of them. */
const endless = new Set<string>();
let sent = 0;
/** The path of what is said to be larger than may be. */
let huge = '';
let server: Server;
let root: string;
let settings: Parameters<typeof S3Store.open>[0];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-s3-'));
  server = createServer(async (request, response) => {
    const path = request.url ?? '';
    const content = await buffer(request);
    const { authorization = '' } = request.headers;
    const end = (status: number, body: Buffer | string = '') => response.writeHead(status).end(body);
    if (
      !/^AWS4-HMAC-SHA256 Credential=me\/\d+\/eu-west-1\/s3\/aws4_request, .*Signature=[0-9a-f]{64}$/.test(
        authorization,
      )
    ) {
      end(403, '<Error><Code>AccessDenied</Code></Error>');
    } else if (request.method === 'PUT') {
      if (request.headers['if-none-match'] === '*' && objects.has(path)) end(412);
      else {
        objects.set(path, content);
        end(200);
      }
    } else if (request.method === 'DELETE') end(objects.delete(path) ? 204 : 404);
    else {
      const found = objects.get(path);
      if (endless.has(path)) {
        // Without a size, until nobody listens.
        const chunk = Buffer.alloc(2 ** 20, 'x');
        response.writeHead(200);
        const more = () => {
          sent += chunk.length;
          if (!response.destroyed && sent < 2 ** 28) response.write(chunk, more);
        };
        more();
      } else if (found && path === huge) {
        response.writeHead(200, { 'content-length': 2 ** 31 }).write(found);
      } else if (found) end(200, found);
      else end(404);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  settings = {
    ...{ address: 's3://bucket/sweeps/one', accessKeyId: 'me', secretAccessKey: 's3cret', region: 'eu-west-1' },
    ...{ endpoint: `http://127.0.0.1:${port}/`, cache: join(root, 'cache') },
  };
});
afterAll(async () => {
  server.close();
  await rm(root, { recursive: true, force: true });
});

it('has one identity, and keeps the first of what is kept under a key', async () => {
  const [store, other] = [await S3Store.open(settings), await S3Store.open(settings)];
  expect(other.id).toBe(store.id);
  expect(await store.read('results/a.json')).toBeUndefined();
  const first = await Promise.all(['x', 'y', 'z'].map((text) => store.keep('results/a.json', text)));
  expect(first.filter((was) => was)).toHaveLength(1);
  expect(await other.read('results/a.json')).toBe('xyz'[first.indexOf(true)]);
  await other.forget('results/a.json');
  await other.forget('results/a.json');
  expect(await store.read('results/a.json')).toBeUndefined();
  expect([...objects.keys()]).toEqual(['/bucket/sweeps/one/store/id']);
  await expect(store.keep('../other', '')).rejects.toThrow('expected a key of plain names');
});

it('gives back a folder as it was, and not as somebody changed it', async () => {
  const given = join(root, 'given');
  mkdirSync(join(given, 'inner'), { recursive: true });
  writeFileSync(join(given, 'empty'), '');
  writeFileSync(join(given, 'inner', 'a b?.bin'), Buffer.alloc(300_000, 7));
  const store = await S3Store.open(settings);
  const digest = await store.keepTree(await filesOf(given));
  const found = await store.tree(digest);
  expect((await filesOf(found)).map(({ name }) => name).sort()).toEqual(['empty', 'inner/a b?.bin']);
  expect(await readFile(join(found, 'inner', 'a b?.bin'))).toEqual(Buffer.alloc(300_000, 7));

  const [blob] = [...objects].find(([, content]) => content.length === 300_000) ?? [''];
  objects.set(blob, Buffer.alloc(300_000, 8));
  const elsewhere = await S3Store.open({ ...settings, cache: join(root, 'another machine') });
  await expect(elsewhere.tree(digest)).rejects.toThrow(/a b\?\.bin: expected SHA-256 /);
  await expect(store.tree('e'.repeat(64))).rejects.toThrow('expected files of this digest, found none');
});

it('reads no more than a text or a file may be, whatever the service says or does not say of its size', async () => {
  const store = await S3Store.open(settings);
  endless.add('/bucket/sweeps/one/results/endless.json');
  await expect(store.read('results/endless.json')).rejects.toThrow(
    /results\/endless\.json: expected at most 67108864 bytes, found more$/,
  );
  expect(sent).toBeLessThan(2 ** 27);
  const given = join(root, 'one.bin');
  writeFileSync(given, 'one');
  const digest = await store.keepTree([{ name: 'one.bin', path: given }]);
  [huge] = [...objects].find(([, content]) => content.toString() === 'one') ?? [''];
  await expect(store.tree(digest)).rejects.toThrow(
    /blobs\/[0-9a-f]{64}: expected at most 2147483647 bytes, found 2147483648$/,
  );
});

it('names the list of files that is broken', async () => {
  const store = await S3Store.open(settings);
  const [digest, other] = ['a'.repeat(64), 'b'.repeat(64)];
  await store.keep(`trees/${digest}/list.json`, '{"config.json": "12');
  await store.keep(`trees/${other}/list.json`, '{"config.json": 12}');
  await expect(store.tree(digest)).rejects.toThrow(InputError);
  await expect(store.tree(digest)).rejects.toThrow(/one\/trees\/a+\/list\.json: expected JSON, /);
  await expect(store.tree(other)).rejects.toThrow(/one\/trees\/b+\/list\.json: expected digests by file names$/);
});

it('says what the service refuses, without the secret', async () => {
  const wrong = S3Store.open({ ...settings, region: 'us-east-1' });
  await expect(wrong).rejects.toThrow('s3://bucket/sweeps/one/store/id: PUT: 403 AccessDenied');
  await expect(wrong).rejects.not.toThrow('s3cret');
  await expect(S3Store.open({ ...settings, address: 's3://' })).rejects.toThrow('s3://: expected s3://bucket/prefix');
});
