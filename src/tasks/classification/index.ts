import { type Dataset, fewShot, type LabelledDataset } from '../../data/index.js';
import { crossEntropy, crossEntropyPerExample, klDivergence, mul, reduceSum, softmax, sub } from '../../graph/index.js';
import { InputError } from '../../registry/index.js';
import { drawLabels } from '../draw-labels.js';
import { requireExamples } from '../fit.js';
import type { Task } from '../task.js';
import { ScoreMeter, UtilityMeter } from './meter.js';
import { classMetric, classMetrics, matthews, meanF1 } from './metrics.js';
import { authorizedClasses, classDisagreements } from './names.js';

/** Each example belongs to one class: images, and whatever else a model gives logits of. */
export const classification: Task = {
  name: 'classification',
  description: 'examples that belong to one class each, by the logits of the classes',
  head: 'classifier',
  output: 'logits',
  metrics: classMetrics,
  explanation:
    'Calibration error: 15 bins of the predicted class. Agreement and KL (nats): with the float32 outputs before the lock.',
  roles: { score: 'accuracy', divergence: 'kl', notFinite: 'notFinite', loss: 'loss' },
  // The last two are in no table unless they are asked for.
  metric: (name, dataset) => classMetric(name, [...classMetrics, meanF1, matthews], labelled(dataset).classes),
  parts(dataset) {
    const { classes, labels } = labelled(dataset);
    const counts = classes.map(() => 0);
    for (const label of labels) counts[label]++;
    const entries = classes.map((name, label) => ({ name, n: counts[label], metric: `recall.${label}` }));
    return { kind: 'class', entries };
  },
  headFor: (dataset) => ({ kind: 'classifier', labels: labelled(dataset).classes }),
  requireFit(model, dataset) {
    const { classes } = labelled(dataset);
    requireExamples(model, dataset);
    if (classes.length > model.head.size) {
      throw new InputError(
        `${dataset.name}: expected at most ${model.head.size} classes for the model, found ${classes.length}`,
      );
    }
  },
  targets: () => ({ labels: { shape: [], dtype: 'int32' } }),
  targetReader(dataset) {
    const { labels } = labelled(dataset);
    return (position, { batch, row }) => {
      batch.labels[row] = labels[position];
    };
  },
  loss: (logits, target) => crossEntropy(logits, target('labels')),
  losses: (logits, target) => crossEntropyPerExample(logits, target('labels')),
  divergence: (logits, original) => klDivergence(logits, original),
  curvature(logits, u) {
    // The Fisher information of the predicted distribution, over the batch: p ∘ (u − ⟨p, u⟩) in each row.
    const p = softmax(logits, 1);
    const curved = mul(p, sub(u, reduceSum(mul(p, u), { axes: [1], keepDims: true })));
    return mul(curved, 1 / logits.shape[0]);
  },
  drawTargets: drawLabels,
  meter(dataset, width, { compares = false } = {}) {
    const { labels } = labelled(dataset);
    return compares ? new UtilityMeter(labels, width) : new ScoreMeter(labels, width);
  },
  answers(dataset) {
    if (!isLabelled(dataset)) return undefined;
    return { of: dataset.labels, count: dataset.classes.length };
  },
  guessing: (dataset) => 1 / labelled(dataset).classes.length,
  fewShot: (dataset, perKind, seed) => fewShot(labelled(dataset), perKind, seed),
  drawnBy: 'labelled examples of each class',
  disagreements: (card, model, dataset, { authorized = true } = {}) =>
    authorized ? classDisagreements(card, model, labelled(dataset)) : [],
  doubts: (card, dataset) => authorizedClasses(card, labelled(dataset)),
};

function isLabelled(dataset: Dataset): dataset is LabelledDataset {
  return 'labels' in dataset && 'classes' in dataset;
}

/** A data set with classes. */
function labelled(dataset: Dataset): LabelledDataset {
  if (isLabelled(dataset) && dataset.classes.length > 0) return dataset;
  const ofWords = dataset.examples.tokenClasses ? ' but of words, whose task is token-classification' : '';
  throw new InputError(`${dataset.name}: expected examples with classes, found none${ofWords}`);
}
