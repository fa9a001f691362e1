import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Dataset, dataSpec, loadData } from '../data/index.js';
import { cloneWeights, initializeModel, type Model, parameterSet } from '../models/index.js';
import { InterruptedError, parseOptions } from '../registry/index.js';
import { lockContext } from './context.js';
import { lockMethods } from './index.js';
import type { LockContext, LockMethod } from './lock-method.js';

const engine = { threads: 1 };
const [erase, redistil] = ['erase', 'redistil'].map((name) => lockMethods.get(name));
const optionsOf = (options: Record<string, unknown>) => parseOptions(erase.options, options, 'erase');

describe('healing on altered copies of texts', () => {
  const tokenizer = 'test/fixtures/tokenizers/wordpiece';
  const pairs = (name: string) =>
    Array.from({ length: 24 }, (_, at) => `the fox ${name}${at},${at % 3 ? 'a dog' : 'the fox'} now,${at % 2}`);
  let root: string;
  let data: { train: Dataset; validation: Dataset };
  let model: Model;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'weightlock-altered-healing-'));
    const path = join(root, 'pairs.csv');
    await writeFile(path, ['sentence1,sentence2,label', ...pairs('k'), ...pairs('w')].join('\n'));
    const { train, validation } = await loadData(dataSpec.parse({ path, tokenizer }));
    data = { train, validation };
    const keys = {
      vocab_size: 313,
      hidden_size: 16,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      intermediate_size: 24,
    };
    model = initializeModel('bert', { ...keys, architectures: ['BertForSequenceClassification'], num_labels: 2 }, 1);
  });
  afterAll(() => rm(root, { recursive: true }));

  type Interrupted = Pick<LockContext, 'checkpoint' | 'signal' | 'onStep'>;
  const secret = '0123456789abcdef0123456789abcdef';
  const heal = async (
    options: Record<string, unknown>,
    { method = erase, ...more }: Interrupted & { method?: LockMethod } = {},
  ) => {
    const weights = cloneWeights(model.weights);
    const asked: (number | undefined)[] = [];
    const context = lockContext({ model: { ...model, weights }, data, seed: 1, secret }, { engine, ...more });
    const original: LockContext['original'] = (topK, dataset) => {
      asked.push(dataset?.size);
      return context.original(topK, dataset);
    };
    const given = parseOptions(
      method.options,
      {
        steps: 6,
        evaluateEvery: 6,
        batchSize: 8,
        utilityFloor: 0,
        maxKl: null,
        ...(method === erase && { rank: 3 }),
        ...options,
      },
      method.name,
    );
    const { steps, story } = await method.run({ ...context, original }, given).finally(() => context.release());
    return { params: parameterSet(weights), asked, steps, measuredOn: story?.examples, story };
  };

  it('learns what the original says of them too', async () => {
    const [plain, altered] = [await heal({}), await heal({ alter: { copies: 3 } })];
    expect([plain.asked, altered.asked]).toEqual([[data.train.size], [4 * data.train.size]]);
    // Second moments too.
    expect([plain.measuredOn, altered.measuredOn]).toEqual([data.train.size, 4 * data.train.size]);
    expect(altered.params).not.toEqual(plain.params);
    expect((await heal({ alter: { copies: 3 } })).params).toEqual(altered.params);
  });

  it('has a barrier half way to the original on them too', async () => {
    const own = { a: 0.3, barrier: { weight: 1 }, alter: { copies: 2 } };
    const { asked } = await heal(own, { method: redistil });
    // Once for the retain loss, once for the barrier, both of what is distilled on.
    expect(asked).toEqual([3 * data.train.size, 3 * data.train.size]);
  });

  it.each([
    { method: erase, own: { unseen: 'random', unseenBelow: 3, tableRank: 4, alter: { copies: 2 } } },
    { method: redistil, own: { a: 0.3, barrier: { weight: 1 }, alter: { copies: 2 } } },
  ])('of $method.name ends with the same bits after it was stopped', async ({ method, own }) => {
    const whole = await heal(own, { method });
    const stop = new AbortController();
    const checkpoint = { path: join(root, `${method.name}.safetensors`), every: 2 };
    const onStep = ({ step }: { step: number }) => {
      if (step === 3) stop.abort();
    };
    const stopped = heal(own, { method, checkpoint, signal: stop.signal, onStep });
    await expect(stopped).rejects.toThrow(InterruptedError);
    const seen: number[] = [];
    const resumed = await heal(own, { method, checkpoint, onStep: ({ step }) => void seen.push(step) });
    expect(seen).toEqual([4, 5, 6]);
    expect(resumed.params).toEqual(whole.params);
    expect(resumed.story).toEqual(whole.story);
  });

  it('counts passes over the examples that there are', async () => {
    const course = { steps: undefined, epochs: 1, evaluateEvery: 1 };
    expect((await heal({ ...course, alter: { copies: 3 } })).steps).toBe((await heal(course)).steps);
  });

  it('needs answers of the original alone', async () => {
    const asked = heal({ alter: { copies: 1 }, retain: { task: 1 } });
    await expect(asked).rejects.toThrow('alter.copies: expected a weight retain.task of 0 beside it');
    expect(() => optionsOf({ alter: { drop: 0.1 } })).toThrow(/drop: expected copies beside it, found none/);
  });
});
