import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { dataSpec } from '../../data/index.js';
import { weightlockVersion } from '../../evidence/index.js';
import { namedJob, readJob, type SearchJob } from './job.js';

const artifact = `artifact:${'ab'.repeat(32)}`;
const search: SearchJob = {
  kind: 'search',
  weightlock: weightlockVersion(),
  engine: { threads: 1, device: 'cpu' },
  task: {
    id: 'score-fine-tune-adamw-locked',
    start: { kind: 'model', path: artifact, draws: [artifact] },
    transforms: [{ name: 'interpolate', options: { parent: artifact } }],
    optimizer: { name: 'adamw', options: { weightDecay: 0.01 } },
    data: dataSpec.parse({ name: 'digits', classes: [3, 4] }),
    steps: 20,
    batchSize: 32,
    budget: { decades: [-2], searchSeeds: [9], seeds: [1, 2] },
  },
};
const carry = (value: unknown) => {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return { digest: createHash('sha256').update(text).digest('hex'), text };
};
const withTask = (task: object) => carry({ ...search, task: { ...search.task, ...task } });

it('a job is the same after its way through a queue, and its name is the digest of what it is', () => {
  const { digest, text } = namedJob(search);
  // As jsonb gives it back: without what was undefined, with its keys in another order.
  const { job } = readJob(JSON.parse(JSON.stringify({ text, digest })));
  expect(job).toEqual(search);
  expect(namedJob({ ...search, task: { ...search.task, perClass: undefined } }).digest).toBe(digest);
  expect(namedJob({ ...search, task: { ...search.task, perClass: 5 } }).digest).not.toBe(digest);
  expect(digest).toBe(createHash('sha256').update(text).digest('hex'));
});

it.each([
  ['nothing', undefined, 'expected a digest and a text'],
  ['code', { digest: 'x', text: 'process.exit()' }, 'expected a digest and a text'],
  ['another text than its digest says', { ...carry('{}'), text: '[]' }, 'expected the text of'],
  ['no JSON', carry('{"kind":'), 'expected JSON'],
  ['another kind', carry({ ...search, kind: 'shell' }), 'kind'],
  ['another version', carry({ ...search, weightlock: '9.9.9' }), `expected one of weightlock ${weightlockVersion()}`],
  ['a key too many', withTask({ exec: 'rm' }), 'task'],
  ['a path of the machine', withTask({ start: { kind: 'model', path: '/etc' } }), 'task.start'],
  ['a path out of the artifacts', withTask({ start: { kind: 'model', path: `${artifact}/../..` } }), 'task.start'],
  ['data at a path', withTask({ data: { ...search.task.data, path: '/home' } }), 'task.data.path'],
  ['a data set of files without files', withTask({ data: { ...search.task.data, name: 'cifar10' } }), 'task.data.path'],
  ['a tokenizer at a path', withTask({ data: { ...search.task.data, tokenizer: '.' } }), 'task.data.tokenizer'],
  [
    'a model to draw from at a path',
    withTask({ start: { kind: 'model', path: artifact, draws: ['.'] } }),
    'task.start',
  ],
  ['steps without end', withTask({ steps: 1e12 }), 'task.steps'],
])('refuses %s', (_, data, message) => {
  expect(() => readJob(data)).toThrow(message);
  expect(() => readJob(data)).toThrow(expect.objectContaining({ name: 'InputError' }));
});
