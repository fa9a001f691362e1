import type { DataParts } from '../../data/index.js';
import { exactSingularValues } from '../../linalg/index.js';
import { specDefOptions, specdef } from '../../locks/index.js';
import { initializeModel, type Model, weightMatrices } from '../../models/index.js';
import {
  constantLoss,
  type Figure2Name,
  figure2Data,
  figure2Networks,
  figure2Surface,
  figure2Weights,
  largestSingularValuesOf,
  type Method,
  stabilitySteps,
  trained,
  withLargestSingularValue,
  withRaisedSingularValues,
} from '../../theory/index.js';
import { stepBytes } from '../../training/index.js';
import { trainOptions } from '../jobs/train.js';
import { batchSurface } from '../prediction/batch-surface.js';
import {
  type Forecast,
  forecastProducts,
  forecastRate,
  forecastSteps,
  modelAt,
  type Place,
  type StepsForecast,
} from '../prediction/forecast.js';
import { type PlannedPart, PlannedRunner, type Runner } from '../run/index.js';
import { kept } from './common.js';
import type { ReproductionContext } from './reproduction.js';

/** What was foreseen of one optimizer on one network, and what it came to. */
export interface Foreseen {
  /** The largest stable learning rate. */
  readonly rate: Forecast;
  /** Steps to the goal. */
  readonly steps: StepsForecast;
}

/** How a network came to be: as it is before a lock, locked with its function kept, or with σ_max of its matrices set. */
export const forms = ['unlocked', 'locked', 'σ_max set'] as const;

/** A network and what was foreseen of it. */
export interface PredictionCell {
  /** Of Figure 2, or `small CNN`. */
  readonly network: string;
  readonly form: (typeof forms)[number];
  /** Before which lock it is, or is to be compared with: those of one group have one unlocked network and one goal. */
  readonly group: string;
  /** The least and the largest σ_max of its matrices. */
  readonly sigmas: readonly [number, number];
  /** By optimizer. */
  readonly sgd: Foreseen;
  readonly adamw: Foreseen;
}

/** Share of the predicted stable rate that gradient descent takes its steps at, and AdamW's rate. */
export const rates = { share: 0.25, adamw: 1e-3 } as const;

/** Predicts and measures both optimizers at a place. */
async function foresee(place: Place, target: number, budget: number, signal: AbortSignal) {
  const options = { check: true, signal };
  const one = async (method: Method): Promise<Foreseen> => {
    const model = await modelAt(place, method, options);
    const rate = await forecastRate(place, model, method, options);
    const at = method.optimizer === 'adamw' ? rates.adamw : rates.share * rate.predicted;
    return { rate, steps: await forecastSteps(place, model, { ...method, rate: at }, { target, budget }, options) };
  };
  return { sgd: await one({ optimizer: 'sgd' }), adamw: await one({ optimizer: 'adamw' }) };
}

/** Half way from a loss to that of the best constant answer. */
const halfWay = (loss: number, constant: number) => (loss + constant) / 2;

/** Steps of training and of the lock of a network of Figure 2, and their rates. */
const course = { train: { steps: 600, rate: 0.01 }, lock: { steps: 500, rate: 0.02 } } as const;

/** How much of Figure 2's networks is measured. */
export interface Figure2Choice {
  readonly seed: number;
  /** What σ_max is raised to by the lock. */
  readonly locked: readonly number[];
  /** What it is set to. */
  readonly set: readonly number[];
  /** Steps at most. */
  readonly budget: number;
}

/**
 * A network of Figure 2, trained on its 64 examples, then locked as Algorithm 1 does to several σ_max; the attacker descends the
 * loss of another draw of examples. And with σ_max set, as Figure 2 has it, descending its own.
 */
export async function figure2Cells(
  context: ReproductionContext,
  name: Figure2Name,
  { seed, locked, set, budget }: Figure2Choice,
  onCell: () => void,
): Promise<PredictionCell[]> {
  const network = figure2Networks[name];
  const { signal } = context;
  const [own, others] = [figure2Data(network, seed), figure2Data(network, seed + 1000)];
  const [home, away] = [figure2Surface(network, own), figure2Surface(network, others)];
  const first = home.pointOf(figure2Weights(network, seed));
  const cells: PredictionCell[] = [];
  const cell = async (file: string, facts: Pick<PredictionCell, 'form' | 'group'>, place: Place, target: number) => {
    const found = await kept(context, `${name}-${seed}-${file}`, async () => {
      const largest = [...largestSingularValuesOf(network, valuesAt(place)).values()];
      const sigmas = [Math.min(...largest), Math.max(...largest)] as const;
      return { network: name, ...facts, sigmas, ...(await foresee(place, target, budget, signal)) };
    });
    cells.push(found);
    onCell();
  };
  try {
    const released = await trained(home, first, { ...course.train, signal });
    const goal = halfWay((await away.evaluate(released)).loss, constantLoss(others));
    const group = `${name} ${seed}`;
    await cell('unlocked', { form: 'unlocked', group }, { surface: away, point: released }, goal);
    for (const sigma of locked) {
      const point = await withRaisedSingularValues(network, home, released, { ...course.lock, sigma, signal });
      await cell(`locked-${sigma}`, { form: 'locked', group }, { surface: away, point }, goal);
    }
    if (set.length === 0) return cells;
    const reach = constantLoss(own);
    const setGroup = `${name} ${seed}, as drawn`;
    await cell('drawn', { form: 'unlocked', group: setGroup }, { surface: home, point: first }, reach);
    for (const sigma of set) {
      const point = home.pointOf(withLargestSingularValue(network, figure2Weights(network, seed), sigma));
      await cell(`set-${sigma}`, { form: 'σ_max set', group: setGroup }, { surface: home, point }, reach);
    }
    return cells;
  } finally {
    await Promise.all([home.release(), away.release()]);
  }
}

function valuesAt({ surface, point }: Place): Map<string, Float64Array> {
  return new Map(surface.blocks.map(({ name, offset, size }) => [name, point.slice(offset, offset + size)]));
}

/** The demo's CNN, as it is or small, and how it is locked. */
export interface CnnChoice {
  readonly seed: number;
  /** Keys of its configuration. */
  readonly config: Readonly<Record<string, unknown>>;
  /** What σ is raised to by the lock. */
  readonly locked: readonly number[];
  /** Steps of training, and of the lock. */
  readonly steps: number;
  /** Examples of the attacker's batch. */
  readonly examples: number;
  /** Steps of the attacker at most. */
  readonly budget: number;
}

/** The push is stronger than the lock's usual one, so that it comes that far in few steps; the utility budget is the usual one. */
const cnnLock = { alpha: 0.9, learningRate: 3e-3, topK: 1 };

/** Half of the loss of an answer that is the same for all: a model that knows other classes begins far above and is soon below it. */
const cnnGoal = Math.log(5) / 2;

/** A CNN that was trained and locked on digits 0 to 4; the attacker descends the loss of a batch of digits 5 to 9. */
export async function cnnCells(
  context: ReproductionContext,
  runner: Runner,
  { authorized, unauthorized }: { authorized: DataParts; unauthorized: DataParts },
  { seed, config, locked, steps, examples, budget }: CnnChoice,
  onCell: () => void,
): Promise<PredictionCell[]> {
  const data = { train: authorized.train, validation: authorized.validation };
  const options = trainOptions.parse({ steps });
  const start = async () => initializeModel('cnn', { ...config, num_labels: 5 }, seed);
  const unlocked = await runner.train({ name: `small-cnn-${seed}`, seed }, { from: start, data, options });
  const made: { form: PredictionCell['form']; file: string; model: Model }[] = [
    { form: 'unlocked', file: 'unlocked', model: unlocked.model },
  ];
  for (const sigma of locked) {
    const part = { name: `small-cnn-${seed}-locked-${sigma}`, seed };
    const lock = specDefOptions.parse({ steps, targetSigma: sigma, ...cnnLock });
    const { model } = await runner.lock(part, { from: unlocked.model, data, method: specdef, options: lock });
    made.push({ form: 'locked', file: `locked-${sigma}`, model });
  }
  if (runner instanceof PlannedRunner) return [];
  const cells: PredictionCell[] = [];
  for (const { form, file, model } of made) {
    const place = batchSurface(model, unauthorized.train, { size: examples, seed }, { threads: 1 });
    try {
      const found = await kept(context, `small-cnn-${seed}-${file}`, async () => ({
        network: 'small CNN',
        form,
        group: `small CNN ${seed}`,
        sigmas: rangeOfSigmas(model),
        ...(await foresee(place, cnnGoal, budget, context.signal)),
      }));
      cells.push(found);
    } finally {
      await place.surface.release();
    }
    onCell();
  }
  return cells;
}

/** Rates that the search for a stable one tries, about; from which factor off it starts is not known before. */
const ratesTried = 20;
/** Losses that local models laid end to end are compared with, about, for each. */
const lossesOfModel = 15;

/**
 * What forecasts on CNNs and what they are compared with take at most: of each place the curvature for both optimizers, the search
 * for the stable rate, the path, and both descents to the end of the budget, at the pace of one loss and one product here.
 */
export async function plannedCnns(
  unauthorized: DataParts,
  { seeds, seed, config, locked, examples, budget }: Omit<CnnChoice, 'steps'> & { readonly seeds: number },
): Promise<PlannedPart> {
  const model = initializeModel('cnn', { ...config, num_labels: 5 }, seed);
  const { surface, point } = batchSurface(model, unauthorized.train, { size: examples, seed }, { threads: 1 });
  try {
    const timed = async (work: () => Promise<unknown>) => {
      // The first compiles.
      await work();
      const began = performance.now();
      await work();
      return (performance.now() - began) / 1000;
    };
    const evaluation = await timed(() => surface.evaluate(point));
    const product = await timed(() => surface.product('hessian', point, point));
    const places = seeds * (1 + locked.length);
    const { curvature, path } = forecastProducts(surface);
    const steps = 2 * (budget + ratesTried * stabilitySteps);
    const products = 2 * curvature + path.models * path.products;
    const seconds = (steps + path.models * lossesOfModel) * evaluation + products * product;
    const layout = unauthorized.train.examples.layout(unauthorized.train.indices);
    // In float64; the vectors of a search for the largest curvature are kept.
    const bytes = 2 * stepBytes(model, examples, { layout }) + 8 * surface.size * curvature;
    return {
      ...{ name: 'predict CNNs', runs: 2 * places, steps: places * steps },
      ...{ seconds: places * seconds, bytes },
    };
  } finally {
    await surface.release();
  }
}

function rangeOfSigmas({ weights }: Model): readonly [number, number] {
  const largest = weightMatrices(weights).map(({ name, rows, columns }) => {
    const data = weights.get(name)?.data ?? new Float32Array();
    return exactSingularValues(data, rows, columns)[0];
  });
  return [Math.min(...largest), Math.max(...largest)];
}
