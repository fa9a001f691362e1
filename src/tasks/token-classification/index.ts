import { InputError } from '../../registry/index.js';
import { classMetric, classMetrics, matthews, meanF1 } from '../classification/metrics.js';
import { authorizedClasses, classDisagreements } from '../classification/names.js';
import { requireHead, requireTokens } from '../fit.js';
import type { Metric, Task } from '../task.js';
import { labelsBy, mostFrequentShare } from '../token-labels.js';
import { ofTokens } from '../token-losses.js';
import { TokenClassMeter } from './meter.js';
import { classesAt, drawTexts, requireClasses, tokenClassReader } from './token-classes.js';

const [accuracy, ...others] = classMetrics;
const metrics: readonly Metric[] = [accuracy, meanF1, ...others];

/** Each word of a text belongs to one class, by the logits at its first token: names, parts of speech. */
export const tokenClassification: Task = {
  ...ofTokens,
  name: 'token-classification',
  description: 'words of texts that belong to one class each, by the logits of the classes at their first token',
  head: 'token-classifier',
  metrics,
  explanation:
    'Over the first token of each word. Calibration error: 15 bins of the predicted class. Agreement and KL (nats): with the float32 outputs before the lock.',
  roles: { score: 'accuracy', divergence: 'kl', notFinite: 'notFinite', loss: 'loss' },
  metric: (name, dataset) => classMetric(name, [...metrics, matthews], requireClasses(dataset).names),
  parts(dataset) {
    const { names } = requireClasses(dataset);
    const counts = names.map(() => 0);
    const at = classesAt(dataset);
    for (let position = 0; position < dataset.size; position++) for (const label of at(position)) counts[label]++;
    const entries = names.map((name, label) => ({ name, n: counts[label], metric: `recall.${label}` }));
    return { kind: 'class', entries };
  },
  headFor: (dataset) => ({ kind: 'token-classifier', labels: requireClasses(dataset).names }),
  requireFit(model, dataset) {
    const { names } = requireClasses(dataset);
    requireHead(model, 'token-classifier');
    requireTokens(model, dataset);
    if (names.length <= model.head.size) return;
    throw new InputError(
      `${dataset.name}: expected at most ${model.head.size} classes for the model, found ${names.length}`,
    );
  },
  targetReader: tokenClassReader,
  meter: (dataset, width, { compares = false } = {}) => new TokenClassMeter(dataset, width, compares),
  guessing: (dataset) => mostFrequentShare(dataset, labelsBy(dataset, tokenClassReader(dataset))),
  fewShot: drawTexts,
  drawnBy: 'texts with a word of each class',
  disagreements: (card, model, dataset, { authorized = true } = {}) =>
    authorized ? classDisagreements(card, model, { classes: requireClasses(dataset).names }) : [],
  doubts: (card, dataset) => authorizedClasses(card, { classes: requireClasses(dataset).names }),
};
