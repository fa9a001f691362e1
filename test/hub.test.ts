import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hubSettings } from '../src/cli/model-argument.js';
import { fromFloat32, parseSafetensors } from '../src/formats/index.js';
import { type HubPlan, initializeModel, loadModel, openHubModel, parseHubId, saveModel } from '../src/models/index.js';
import { InputError, InterruptedError } from '../src/registry/index.js';
import { HubServer, type ServedFile } from './support/hub-server.js';
import { torchFile } from './support/torch-writer.js';

const root = mkdtempSync(join(tmpdir(), 'weightlock-hub-'));
afterAll(() => rmSync(root, { recursive: true }));

const name = 'some-lab/tiny.model';
let files: Record<string, ServedFile>;
let weights: Uint8Array;
beforeAll(async () => {
  const folder = join(root, 'made');
  await saveModel(folder, initializeModel('mlp', { input_shape: [40], hidden_sizes: [50], num_labels: 4 }, 1));
  weights = readFileSync(join(folder, 'model.safetensors'));
  files = {
    'config.json': { content: readFileSync(join(folder, 'config.json')) },
    'model.safetensors': { content: weights, large: true },
    'tokenizer.json': { content: '{"version": "1.0"}' },
    'README.md': { content: '# tiny' },
    '1_Pooling/config.json': { content: '{}' },
    // No part of the model: other frameworks' weights, pictures, a training's leftovers.
    'pytorch_model.bin': { content: 'pickled', large: true },
    'onnx/model.onnx': { content: 'onnx', large: true },
    'onnx/config.json': { content: '{}' },
    'training_args.bin': { content: 'args' },
    'picture.png': { content: 'png' },
    '.gitattributes': { content: '*.safetensors' },
  };
});

let hub: HubServer;
let cache: string;
let caches = 0;
beforeEach(async () => {
  hub = new HubServer(name);
  hub.files = structuredClone(files);
  await hub.start();
  cache = join(root, `cache-${caches++}`);
});
afterEach(() => hub.stop());

interface Heard {
  plans: HubPlan[];
  bytes: number;
  notes: string[];
}

/** The folder of the served model, and what was heard on the way. */
async function open(
  {
    revision = 'main',
    token,
    offline = false,
    endpoint = hub.endpoint,
  }: { revision?: string; token?: string; offline?: boolean; endpoint?: string } = {},
  { accept = true, signal = new AbortController().signal, onBytes = (_: number): void => undefined } = {},
): Promise<Heard & { folder: string | undefined }> {
  const heard: Heard = { plans: [], bytes: 0, notes: [] };
  const settings = { endpoint, cache, offline, ...(token !== undefined && { token }) };
  const folder = await openHubModel({ name, revision }, settings, {
    signal,
    onPlan: (plan) => {
      heard.plans.push(plan);
      return accept;
    },
    onBytes: (count) => {
      heard.bytes += count;
      onBytes(count);
    },
    note: (line) => void heard.notes.push(line),
  });
  return { folder, ...heard };
}

async function refusal(given: Parameters<typeof open>[0] = {}): Promise<string> {
  const error: unknown = await open(given).then(
    () => 'opened',
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InputError);
  expect((error as Error).message).toMatch(/^[^\n]{1,600}$/);
  return (error as Error).message;
}
const repository = () => join(cache, 'models--some-lab--tiny.model');
const requests = (path: string) => hub.seen.filter((each) => each.path.endsWith(path) && each.range !== 'bytes=0-0');

describe('a model of the hub', () => {
  it('is downloaded into the cache as huggingface_hub lays it out: what belongs to it, listed before', async () => {
    const { folder, plans, bytes } = await open();
    expect(plans).toHaveLength(1);
    const [plan] = plans;
    expect(plan.commit).toBe(hub.commit);
    const chosen = ['config.json', 'tokenizer.json', 'README.md', '1_Pooling/config.json', 'model.safetensors'];
    expect(plan.files.map(({ path }) => path)).toEqual(chosen);
    const total = chosen.reduce((sum, path) => sum + Buffer.byteLength(files[path].content), 0);
    expect([plan.bytes, bytes]).toEqual([total, total]);
    expect(folder).toBe(join(repository(), 'snapshots', hub.commit));
    expect(readFileSync(join(repository(), 'refs/main'), 'utf8')).toBe(hub.commit);
    for (const path of chosen) {
      const at = join(repository(), 'snapshots', hub.commit, path);
      expect(readFileSync(at)).toEqual(Buffer.from(files[path].content));
      expect(readlinkSync(at)).toMatch(/^(\.\.\/)+blobs\/([0-9a-f]{40}|[0-9a-f]{64})$/);
    }
    expect(readdirSync(join(repository(), 'blobs'))).toHaveLength(chosen.length);
    expect((await loadModel(String(folder))).weights.size).toBe(4);
  });

  it('is not downloaded again, and not asked for where the commit is given', async () => {
    const { folder } = await open();
    hub.seen.length = 0;
    const again = await open();
    expect([again.folder, again.plans]).toEqual([folder, []]);
    expect(hub.seen.map(({ path }) => path)).toEqual([`/api/models/${name}/revision/main`]);
    hub.seen.length = 0;
    expect((await open({ revision: hub.commit })).folder).toBe(folder);
    expect(hub.seen).toEqual([]);
  });

  it('of another revision is at its own commit', async () => {
    expect((await open({ revision: 'refs/pr/1' })).folder).toBe(join(repository(), 'snapshots', hub.commit));
    expect(readFileSync(join(repository(), 'refs/refs/pr/1'), 'utf8')).toBe(hub.commit);
  });

  it('is only listed where that is all that is wanted', async () => {
    const { folder, plans } = await open({}, { accept: false });
    expect([folder, plans.length]).toEqual([undefined, 1]);
    expect(existsSync(cache)).toBe(false);
  });

  it('comes out of the cache where there is no network, as a note says', async () => {
    const { folder } = await open();
    const { endpoint } = hub;
    await hub.stop();
    for (const offline of [false, true]) {
      const kept = await open({ offline, endpoint });
      expect(kept.folder).toBe(folder);
      expect(kept.notes).toEqual([
        `${name}: the hub was not asked or cannot be reached; commit ${hub.commit} of the cache is used`,
      ]);
    }
    rmSync(join(repository(), 'snapshots', hub.commit, 'model.safetensors'));
    expect(await refusal({ endpoint })).toContain('cannot be reached (ECONNREFUSED)');
  });

  it('in shards is downloaded by its index', async () => {
    const { tensors } = parseSafetensors(weights, 'made');
    const shards = { 'a.safetensors': 'fc1.weight', 'b.safetensors': 'fc1.bias' };
    const map = Object.fromEntries(Object.entries(shards).map(([path, tensor]) => [tensor, path]));
    hub.files = {
      'model.safetensors.index.json': { content: JSON.stringify({ weight_map: map }) },
      ...Object.fromEntries(Object.keys(shards).map((path) => [path, { content: path, large: true }])),
      'c.safetensors': { content: 'another', large: true },
    };
    expect(tensors).not.toEqual([]);
    const { folder } = await open();
    expect(readdirSync(String(folder)).sort()).toEqual([...Object.keys(shards), 'model.safetensors.index.json']);
    delete hub.files['b.safetensors'];
    cache = `${cache}-again`;
    expect(await refusal()).toBe(`${name}: expected a shard "b.safetensors", which its index names, found none`);
  });

  it('of torch.save alone is downloaded as that, and of other frameworks alone is none', async () => {
    const tensor = fromFloat32(Float32Array.of(1, 2), { name: 'w', dtype: 'F32', shape: [2] });
    hub.files = {
      'pytorch_model.bin': { content: torchFile([tensor]), large: true },
      'tf_model.h5': { content: 'h5' },
    };
    const { folder } = await open();
    expect(readdirSync(String(folder))).toEqual(['pytorch_model.bin']);
    delete hub.files['pytorch_model.bin'];
    cache = `${cache}-again`;
    expect(await refusal()).toBe(
      `${name}: expected model.safetensors or pytorch_model.bin in this repository, found "tf_model.h5"`,
    );
  });
});

describe('a download that breaks', () => {
  it('is gone on from where it broke, by the same command', async () => {
    hub.files['model.safetensors'].breakAfter = 5000;
    expect(await refusal()).toMatch(
      /^some-lab\/tiny\.model: "model\.safetensors": expected \d+ bytes, the connection broke after 5000 \(.+\); run the same command again, which goes on from there$/,
    );
    const [part] = readdirSync(join(repository(), 'blobs')).filter((each) => each.endsWith('.incomplete'));
    expect(statSync(join(repository(), 'blobs', part)).size).toBe(5000);
    hub.seen.length = 0;
    const { folder, bytes, plans } = await open();
    expect(requests('model.safetensors').map(({ host, range }) => [host, range])).toEqual([
      ['hub', 'bytes=5000-'],
      ['files', 'bytes=5000-'],
    ]);
    expect(bytes).toBe(plans[0].bytes);
    expect(readFileSync(join(String(folder), 'model.safetensors'))).toEqual(Buffer.from(weights));
    expect(readdirSync(join(repository(), 'blobs')).filter((each) => each.endsWith('.incomplete'))).toEqual([]);
  });

  it('begins anew where the server knows no ranges', async () => {
    Object.assign(hub.files['model.safetensors'], { breakAfter: 5000, noRanges: true });
    await refusal();
    const { folder, bytes, plans } = await open();
    expect(bytes).toBe(plans[0].bytes);
    expect(readFileSync(join(String(folder), 'model.safetensors'))).toEqual(Buffer.from(weights));
  });

  it('ends with the command', async () => {
    hub.files['model.safetensors'].breakAfter = 5000;
    const controller = new AbortController();
    let count = 0;
    const opening = open(
      {},
      {
        signal: controller.signal,
        onBytes: (bytes) => {
          count += bytes;
          if (count > 5000) controller.abort(new InterruptedError('stopped'));
        },
      },
    );
    await expect(opening).rejects.toThrow(InterruptedError);
  });

  it.each<[string, string, Partial<ServedFile>, string]>([
    ['another content', 'model.safetensors', { served: new Uint8Array(8) }, 'expected [0-9]+ bytes, found 8'],
    ['more than is listed', 'tokenizer.json', { served: new Uint8Array(99) }, 'expected 18 bytes, found more'],
    [
      'another digest',
      'tokenizer.json',
      { served: new Uint8Array(18) },
      'expected Git object [0-9a-f]{40}, found [0-9a-f]{40}; what came was removed',
    ],
    [
      'another SHA-256',
      'model.safetensors',
      { listed: { oid: 'a'.repeat(64) } },
      'expected SHA-256 a{64}, found [0-9a-f]{64}; what came was removed',
    ],
    [
      'no digest',
      'config.json',
      { listed: { oid: '../../../x' } },
      'expected a listing with sizes and digests from the hub',
    ],
    ['no size', 'config.json', { listed: { size: -0.5 } }, 'expected a listing with sizes and digests from the hub'],
  ])('is refused: %s', async (_, path, change, expected) => {
    Object.assign(hub.files[path], change);
    expect(await refusal()).toMatch(new RegExp(expected));
    expect(existsSync(join(repository(), 'snapshots', hub.commit, path))).toBe(false);
    // What is mended there is mended here.
    hub.files = structuredClone(files);
    await open();
  });

  it.each([
    '../../../../tokenizer.json',
    '/tmp/tokenizer.json',
    'a/../../b',
    'a//b',
    'c:\\d',
    'e?f',
    'g#h',
    '%2e%2e/i',
  ])('writes and asks for nothing outside, whatever the hub lists: %s', async (path) => {
    hub.files['tokenizer.json'].listed = { path };
    expect(await refusal()).toBe(
      `${name}: expected file names inside the repository from the hub, found ${JSON.stringify(path)}`,
    );
    expect(existsSync(cache)).toBe(false);
  });

  it('nor what an index names', async () => {
    hub.files = { 'model.safetensors.index.json': { content: JSON.stringify({ weight_map: { w: '../../../w' } }) } };
    expect(await refusal()).toBe(`${name}: expected a shard "../../../w", which its index names, found none`);
  });
});

describe('who is asked, and what is told', () => {
  const token = 'hf_secret';

  it('the token goes to the hub and to no other host', async () => {
    await open({ token });
    const told = (host: string) =>
      new Set(hub.seen.filter((each) => each.host === host).map((each) => each.authorization));
    expect([...told('hub')]).toEqual([`Bearer ${token}`]);
    expect([...told('files')]).toEqual([undefined]);
  });

  it.each([
    [
      401,
      {},
      'expected a model of the hub, found none, or one that is not public, and HF_TOKEN is not set (status 401)',
    ],
    [401, { token }, 'found none, or one that is not public, and HF_TOKEN is not accepted (status 401)'],
    [403, {}, 'expected access to this model, HF_TOKEN is not set; ask for it at http'],
    [403, { token }, 'expected access to this model, the account of HF_TOKEN has none; ask for it at http'],
    [404, {}, 'expected a model of the hub with a revision "main", found none at http'],
    [500, {}, 'found status 500; try it again later'],
  ])('status %i is explained (%j)', async (status, given, expected) => {
    hub.status = status;
    const message = await refusal(given);
    expect(message).toContain(expected);
    expect(message.startsWith(`${name}: `)).toBe(true);
    expect(message).not.toContain(token);
  });

  it('an unknown revision, a token that is none, and no network', async () => {
    expect(await refusal({ revision: 'v9' })).toContain('with a revision "v9", found none at');
    expect(await refusal({ token: 'secret' })).toBe('HF_TOKEN: expected a token of the hub, which begins with hf_');
    expect(await refusal({ offline: true })).toContain('cannot be reached (HF_HUB_OFFLINE is set)');
    const gone = new HubServer(name);
    await gone.start();
    const { endpoint } = gone;
    await gone.stop();
    expect(await refusal({ revision: 'v9', endpoint })).toBe(
      `${name}: expected a model directory, found none here, and the hub at ${endpoint} cannot be reached (ECONNREFUSED); ` +
        `on a machine with a network run "hf download ${name} --revision v9 --local-dir model", copy that folder here and give its path`,
    );
  });
});

describe('what is an id', () => {
  it.each([
    ['owner/name', 'owner/name', 'main'],
    ['owner/name@v1.0', 'owner/name', 'v1.0'],
    ['owner/name@refs/pr/1', 'owner/name', 'refs/pr/1'],
    ['hf:owner/na.me-2_x', 'owner/na.me-2_x', 'main'],
    ['hf:gpt2@0123', 'gpt2', '0123'],
  ])('%s', async (argument, id, revision) => {
    expect(await parseHubId(argument)).toEqual({ name: id, revision });
  });

  it.each([
    'name',
    './owner/name',
    '/owner/name',
    'a/b/c',
    '../name',
    'owner/../name',
    'owner/',
    'owner/.name',
    'a b/c',
    'own--er/name',
    'owner/name@../x',
    'owner\\name',
  ])('not %s', async (argument) => {
    expect(await parseHubId(argument)).toBeUndefined();
    await expect(parseHubId(`hf:${argument.replace(/^name$/, '')}`)).rejects.toThrow(
      'expected hf:owner/name or hf:owner/name@revision',
    );
  });

  it('not what lies on the disk, nor a place in a folder that does', async () => {
    expect(await parseHubId('test/support')).toBeUndefined();
    expect(await parseHubId('test/nothing-there')).toBeUndefined();
    expect(await parseHubId('hf:test/support')).toEqual({ name: 'test/support', revision: 'main' });
  });
});

describe('settings', () => {
  it('are those of huggingface_hub', () => {
    expect(hubSettings({ HF_HOME: '/h', HF_TOKEN: ' hf_a\n', HF_ENDPOINT: 'http://x/', HF_HUB_OFFLINE: '1' })).toEqual({
      endpoint: 'http://x',
      token: 'hf_a',
      cache: '/h/hub',
      offline: true,
    });
    expect(hubSettings({ HF_HUB_CACHE: '/c', HF_HOME: '/h', HF_TOKEN: '', HF_HUB_OFFLINE: '0' })).toEqual({
      endpoint: 'https://huggingface.co',
      cache: '/c',
      offline: false,
    });
    expect(hubSettings({ XDG_CACHE_HOME: '/x' }).cache).toBe('/x/huggingface/hub');
  });
});

describe('commands', () => {
  const main = resolve('dist/cli/main.js');
  async function weightlock(...args: string[]) {
    const env = { ...process.env, HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_TOKEN: '' };
    mkdirSync(join(root, 'work'), { recursive: true });
    const child = spawn(process.execPath, [main, ...args], { cwd: join(root, 'work'), env });
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
    return { code, stdout, stderr };
  }

  it('take an id where they take a model: what is downloaded is said before', async () => {
    const dry = await weightlock('inspect', name, '--dry-run');
    const of = 'some-lab/tiny.model, commit 0123456789abcdef0123456789abcdef01234567: 5 files, 10 kB';
    // Lines are broken to the terminal's width.
    const unbroken = (lines: string) => lines.replaceAll(/\s+/g, ' ');
    expect(unbroken(dry.stdout)).toContain(`would download ${of}`);
    expect(dry.stdout).toContain('  model.safetensors  ');
    expect([dry.code, existsSync(cache)]).toEqual([0, false]);
    const { code, stdout, stderr } = await weightlock('inspect', `hf:${name}@main`);
    expect(unbroken(stderr)).toContain(`downloads ${of}`);
    expect([code, stdout.split('\n').filter((line) => /^fc\d\.weight/.test(line)).length]).toEqual([0, 2]);
    const attacked = await weightlock('attack', name, '--unlocked', `${name}@nowhere`, '--dry-run', '--quiet');
    expect([attacked.code, attacked.stderr]).toEqual([
      2,
      expect.stringContaining('with a revision "nowhere", found none'),
    ]);
  });

  it('ask no one where a path is given', async () => {
    writeFileSync(join(root, 'not-a-model'), '');
    for (const path of ['./some-lab/tiny.model', 'nothing', join(root, 'nothing'), 'a/b/c']) {
      const { code, stderr } = await weightlock('evaluate', path, '--quiet');
      expect([code, stderr]).toEqual([2, expect.stringContaining('found nothing')]);
    }
    expect(hub.seen).toEqual([]);
  });
});
