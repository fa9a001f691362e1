import { drawSome } from '../../data/index.js';
import {
  cast,
  crossEntropy,
  div,
  equal,
  exp,
  logSoftmax,
  max,
  mul,
  not,
  reduceSum,
  reshape,
  softmax,
  sub,
  type Tensor,
} from '../../graph/index.js';
import { InputError, Registry } from '../../registry/index.js';
import { requireExamples, requireHead } from '../fit.js';
import type { Metric, Task } from '../task.js';
import { TokenMeter } from './meter.js';
import { ignored, mostFrequentShare, nextTokens } from './next-tokens.js';

const metrics: readonly Metric[] = [
  { name: 'tokenAccuracy', title: 'next-token accuracy', unit: 'share', better: 'more' },
  { name: 'loss', title: 'loss', unit: 'nats', better: 'less' },
  { name: 'perplexity', title: 'perplexity', unit: 'number', better: 'less' },
  { name: 'agreement', title: 'agreement', unit: 'share', better: 'more', compares: true },
  { name: 'kl', title: 'KL to the original', unit: 'nats', better: 'less', compares: true },
  { name: 'leastLogit', title: 'least logit', unit: 'number', better: 'neither' },
  { name: 'largestLogit', title: 'largest logit', unit: 'number', better: 'neither' },
  { name: 'notFinite', title: 'outputs not finite', unit: 'share', better: 'less' },
];

/** Logits `[batch, tokens, vocabulary]` as one row a token. */
const rowsOf = (logits: Tensor) => reshape(logits, [-1, logits.shape[logits.rank - 1]]);

/** The share of the mean that each token has, `[batch · tokens, 1]`: 0 where there is no next one. */
function weightsOf(logits: Tensor, target: (name: string) => Tensor): Tensor {
  const counted = cast(not(equal(reshape(target('labels'), [-1, 1]), ignored)), logits.dtype);
  return div(counted, max(reduceSum(counted), 1));
}

/** The next token of texts, by the logits at each token: causal language models. */
export const causalLm: Task = {
  name: 'causal-lm',
  description: 'the next token of texts, by the logits of the vocabulary',
  head: 'causal-lm',
  output: 'logits',
  metrics,
  explanation:
    'Over all tokens that have a next one, those of prompts left aside. Agreement and KL (nats): with the float32 outputs before the lock.',
  roles: { score: 'tokenAccuracy', divergence: 'kl', notFinite: 'notFinite', loss: 'loss' },
  metric: (name) => new Registry('metric', metrics).get(name),
  parts: () => ({ kind: 'text', entries: [] }),
  headFor: () => ({ kind: 'causal-lm', labels: [] }),
  requireFit(model, dataset) {
    requireHead(model, 'causal-lm');
    requireExamples(model, dataset);
    if (!('attention_mask' in dataset.examples.layout([]))) {
      throw new InputError(`${dataset.name}: expected texts with an attention_mask, found none`);
    }
  },
  targets: ({ input_ids }) => ({ labels: { shape: input_ids.shape, dtype: 'int64' } }),
  count: ({ labels }) => (labels as BigInt64Array).reduce((sum, label) => sum + Number(label !== BigInt(ignored)), 0),
  targetReader: (dataset) => {
    const read = nextTokens(dataset);
    return (position, to) => read(position, to, to.batch.labels as BigInt64Array);
  },
  loss: (logits, target) => crossEntropy(rowsOf(logits), reshape(target('labels'), [-1]), { ignoreIndex: ignored }),
  divergence(logits, original, target) {
    const [p, q] = [rowsOf(logits), rowsOf(original)].map((rows) => logSoftmax(rows, 1));
    return reduceSum(mul(weightsOf(logits, target), mul(exp(q), sub(q, p))));
  },
  curvature(logits, u, target) {
    // The Fisher information of each token's predicted distribution: p ∘ (u − ⟨p, u⟩).
    const [p, v] = [softmax(rowsOf(logits), 1), rowsOf(u)];
    const curved = mul(p, sub(v, reduceSum(mul(p, v), { axes: [1], keepDims: true })));
    return reshape(mul(curved, weightsOf(logits, target)), logits.shape);
  },
  meter: (dataset, width, { compares = false } = {}) => new TokenMeter(dataset, width, compares),
  guessing: mostFrequentShare,
  fewShot: (dataset, perKind, seed) => drawSome(dataset, perKind, seed),
  disagreements: () => [],
  doubts: () => [],
};
