import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readLockKey, unlock } from '../../locks/index.js';
import { initializeModel, loadModel, saveModel } from '../../models/index.js';
import { Output } from '../output.js';
import { runProgram } from '../program.js';
import { lock } from './lock.js';
import { train } from './train.js';

let root: string;
const at = (...parts: string[]) => join(root, ...parts);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-keyed-'));
  await saveModel(at('model'), initializeModel('mlp', { num_labels: 3, hidden_sizes: [12, 8] }, 1));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function weightlock(...args: string[]) {
  const [stdout, stderr]: string[][] = [[], []];
  const stream = (lines: string[]) => ({ write: (text: string) => lines.push(text), on: () => undefined });
  const output = new Output({ stdout: stream(stdout), stderr: stream(stderr) });
  const exitCode = await runProgram([lock, train], [...args, '--runs', at('runs'), '--threads', '1'], output);
  return { exitCode, stderr: stderr.join('').replaceAll(/\s*\n\s*/g, ' ') };
}
const secret = '00112233445566778899aabbccddeeff';
const keyed = () => ['--method', 'rebalance', '--secret', at('secret'), '--key', at('key.json')];
const short = ['--data.classes', '0,1,2', '--steps', '5', '--data.limit', '200'];

describe('a keyed lock', () => {
  it('writes a key that its owner alone reads, and no other over it', async () => {
    await writeFile(at('secret'), `${secret}\n`);
    expect(await weightlock('lock', at('model'), at('locked'), ...keyed())).toMatchObject({ exitCode: 0 });
    expect(JSON.parse(await readFile(at('key.json'), 'utf8'))).toMatchObject({ method: 'rebalance', secret });
    expect((await stat(at('key.json'))).mode & 0o777).toBe(0o600);
    const other = ['lock', at('model'), at('other'), '--method', 'rebalance', '--key', at('key.json')];
    expect((await weightlock(...other)).stderr).toContain('expected no file or the same key, found another');
    const specdef = ['lock', at('model'), at('no'), '--key', at('k')];
    expect((await weightlock(...specdef)).stderr).toContain('--key: expected the method rebalance, which has keys');
  });

  it('trains with its key as the unlocked model does, to the bit, and is locked again', async () => {
    expect(await weightlock('train', at('plain'), '--from', at('model'), ...short)).toMatchObject({ exitCode: 0 });
    const own = ['--from', at('locked'), '--key', at('key.json'), ...short];
    expect(await weightlock('train', at('owner'), ...own)).toMatchObject({ exitCode: 0 });
    expect(await weightlock('train', at('others'), '--from', at('locked'), ...short)).toMatchObject({ exitCode: 0 });
    const key = readLockKey(JSON.parse(await readFile(at('key.json'), 'utf8')), 'key.json');
    const [plain, owner, others] = await Promise.all(['plain', 'owner', 'others'].map((name) => loadModel(at(name))));
    const weights = ({ weights: of }: typeof plain) => [...of].map(([name, { data }]) => [name, [...data]]);
    expect(weights(owner)).not.toEqual(weights(plain));
    for (const model of [owner, others]) unlock(model, model.weights, key);
    expect(weights(owner)).toEqual(weights(plain));
    expect(weights(others)).not.toEqual(weights(plain));
  });

  it('gives no key where the lock changed nothing', async () => {
    const tight = ['--data.classes', '0,1,2', '--data.limit', '60', '--data.test-limit', '30'];
    const never = ['--rebalance.utility-floor', '1', '--key', at('never.json'), ...tight];
    const done = await weightlock('lock', at('model'), at('rolled-back'), '--method', 'rebalance', ...never);
    expect(done).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('never.json: not written: the lock changed nothing, so nothing needs a key'),
    });
    await expect(stat(at('never.json'))).rejects.toThrow('ENOENT');
  });

  it('refuses a model that its key does not lock: another, an unlocked one, one locked with another key', async () => {
    await saveModel(at('stranger'), initializeModel('mlp', { num_labels: 3, hidden_sizes: [12, 8] }, 2));
    const second = ['--method', 'rebalance', '--rebalance.spread', '2', '--key', at('second.json')];
    expect(await weightlock('lock', at('model'), at('second'), ...second)).toMatchObject({ exitCode: 0 });
    // A secret that nobody was given, nobody has guessed, and the lock of the same run has again.
    const drawn = await readFile(at('second.json'), 'utf8');
    expect(JSON.parse(drawn)).toMatchObject({ secret: expect.stringMatching(/^[0-9a-f]{32}$/) });
    await rm(at('second.json'));
    expect(await weightlock('lock', at('model'), at('second'), ...second)).toMatchObject({ exitCode: 0 });
    expect(await readFile(at('second.json'), 'utf8')).toBe(drawn);
    for (const [model, key] of [
      ['stranger', 'key'],
      ['model', 'key'],
      ['second', 'key'],
      ['locked', 'second'],
    ]) {
      const found = await weightlock('train', at('no'), '--from', at(model), '--key', at(`${key}.json`), ...short);
      expect(found, `${model} with ${key}`).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining(
          `${key}.json: expected the key of this model's lock, found one whose factors its weights do not have`,
        ),
      });
    }
    // Also after training, with the key and without it.
    for (const model of ['owner', 'others']) {
      const more = ['--from', at(model), '--key', at('key.json'), ...short];
      expect(await weightlock('train', at(`${model}-more`), ...more)).toMatchObject({ exitCode: 0 });
    }
    const own = ['--from', at('second'), '--key', at('second.json'), ...short];
    expect(await weightlock('train', at('second-more'), ...own)).toMatchObject({ exitCode: 0 });
  });

  it('refuses what is no key, and a key without a model', async () => {
    await writeFile(at('none.json'), '{"format":"weightlock/key/1","seed":1}');
    const bad = ['train', at('no'), '--from', at('locked'), '--key', at('none.json'), ...short];
    expect(await weightlock(...bad)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('none.json: expected the key of a lock: method'),
    });
    expect((await weightlock('train', at('no'), '--key', at('key.json'), ...short)).stderr).toContain(
      '--key: expected a locked model beside it, with --from',
    );
  });
});
