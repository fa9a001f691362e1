import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DigitModel, differing, digitModel } from '../../../test/support/locked-digits.js';
import { RunFolder } from '../../evidence/index.js';
import { lockMethods } from '../../locks/index.js';
import { cloneWeights, parameterSet } from '../../models/index.js';
import { parseOptions } from '../../registry/index.js';
import { lockJob } from './lock.js';

const redistil = lockMethods.get('redistil');
let root: string;
let digits: DigitModel;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-lock-job-'));
  digits = await digitModel('mlp', { hidden_sizes: [12, 8] });
});
afterAll(() => rm(root, { recursive: true, force: true }));

const options = parseOptions(
  redistil.options,
  { a: 0.5, steps: 8, batchSize: 32, evaluateEvery: 4, settle: 0, maxDrop: 1, maxKl: null },
  'redistil',
);

/** Locks a copy in a run folder. */
async function lockIn(folder: RunFolder, { secret, killAt }: { secret?: string; killAt?: number } = {}) {
  const model = { ...digits.model, weights: cloneWeights(digits.model.weights) };
  const { train, validation } = digits;
  const onStep = (step: number) => {
    if (step === killAt) throw new Error('killed');
  };
  const job = { folder, phase: 'lock', engine: { threads: 1 }, checkpointEvery: 3, onStep };
  const { info: result } = await lockJob({ model, train, validation, seed: 1, secret }, redistil, options, job);
  return { result, params: parameterSet(model.weights) };
}
const open = (name: string) => RunFolder.open({ root, command: 'lock', config: { name } });

describe('what a lock draws into the weights', () => {
  it.each([1, 5])(
    'is the same for a lock that was killed in step %i and goes on, and known to its folder alone',
    async (killAt) => {
      const folder = await open(`killed ${killAt}`);
      await expect(lockIn(folder, { killAt })).rejects.toThrow('killed');
      const path = folder.checkpointPath('lock.secret');
      const secret = (await readFile(path, 'utf8')).trim();
      expect(secret).toMatch(/^[0-9a-f]{32}$/);
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      const { result, params } = await lockIn(folder);
      await folder.writeResult(result);
      await folder.done();

      const whole = await open(`whole ${killAt}`);
      const given = await lockIn(whole, { secret });
      expect(differing(params, given.params)).toEqual([]);
      expect(await whole.checkpoints()).not.toContain('lock.secret');
      await whole.close();
      // Nothing else tells it, nor a digest of it.
      for (const name of await readdir(folder.path)) {
        if (name === 'checkpoints') continue;
        const content = await readFile(join(folder.path, name), 'latin1');
        expect(content, name).not.toContain(secret);
        expect(content, name).not.toContain('lock.secret');
      }
    },
  );

  it('is another one in another folder', async () => {
    const [one, other] = [await open('one'), await open('other')];
    const [a, b] = [await lockIn(one), await lockIn(other)];
    expect(differing(a.params, b.params)).toContain('fc1.weight');
    await Promise.all([one.close(), other.close()]);
  });
});
