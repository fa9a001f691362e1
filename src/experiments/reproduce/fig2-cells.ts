import {
  balanced,
  type CheckedBound,
  checkBounds,
  constantLoss,
  type Figure2Name,
  figure2Data,
  figure2Names,
  figure2Networks,
  figure2Outputs,
  figure2Printed,
  figure2Weights,
  largestSingularValuesOf,
  type Rewritten,
  rescaled,
  stepsToConverge,
  type Values,
  withLargestSingularValue,
} from '../../theory/index.js';
import type { PlannedPart } from '../run/index.js';
import { kept } from './common.js';
import type { ReproductionContext } from './reproduction.js';

/** How much is measured. */
export interface Figure2Settings {
  /** What σ_max of each weight matrix is set to. */
  readonly sigmas: readonly number[];
  readonly seeds: readonly number[];
  /** Steps of Adam at most. */
  readonly budget: number;
}

/** How a network is written: with every σ_max set, that balanced with every output kept, and that rescaled, outputs as well. */
export const forms = ['set', 'balanced', 'rescaled'] as const;
export type Form = (typeof forms)[number];

/** What was measured of one form. */
interface Measured {
  /** Steps to converge; null: not within the budget. */
  readonly steps: number | null;
  /** Whether a weight matrix differs from the network as set. */
  readonly moved: boolean;
  /** σ_max(H). */
  readonly sharpness: number;
  /** What the outputs are multiplied by, and how far they are from that at most, of the largest. */
  readonly factor: number;
  readonly apart: number;
}

/** What the bounds as printed come to in single examples, blocks and weights. */
export interface Printed {
  readonly cases: number;
  /** Cases in which Theorem 2.1 says something, and those in which it is exceeded in the thin form. */
  readonly positive: number;
  readonly falseWhenThin: number;
  /** Cases in which Remark A.3 says something, by k from 1. */
  readonly sums: readonly number[];
  /** Cases in which its right side is above the left at any k. */
  readonly falseSums: number;
}

/** What was measured at one σ_max with one seed. */
export interface Cell {
  readonly network: Figure2Name;
  readonly sigma: number;
  readonly seed: number;
  readonly by: Readonly<Record<Form, Measured>>;
  readonly bounds: readonly CheckedBound[];
  /** Of the MLP and the CNN. */
  readonly printed?: Printed;
}

/** The unlocked networks' σ_max, to which layers are rescaled: the geometric mean over their matrices. */
function typicalSigma(network: Figure2Name, values: Values): number {
  const all = [...largestSingularValuesOf(figure2Networks[network], values).values()];
  return Math.exp(all.reduce((sum, value) => sum + Math.log(value), 0) / all.length);
}

/** A network with every σ_max set, in its forms. */
function prepared(name: Figure2Name, sigma: number, seed: number) {
  const network = figure2Networks[name];
  const data = figure2Data(network, seed);
  const first = figure2Weights(network, seed);
  const values = withLargestSingularValue(network, first, sigma);
  const written: Record<Form, Rewritten> = {
    set: { values, moved: false },
    balanced: balanced(network, values),
    rescaled: rescaled(network, values, typicalSigma(name, first)),
  };
  return { network, data, written };
}

/** Trains from the first weights. */
async function measureSteps(name: Figure2Name, sigma: number, seed: number, form: Form, budget: number) {
  const { network, data, written } = prepared(name, sigma, seed);
  const { steps = null } = await stepsToConverge(network, data, written[form].values, {
    target: constantLoss(data),
    budget,
  });
  return steps;
}

/** Both sides of the bounds, and what each form does to the outputs. */
async function measureBounds(name: Figure2Name, sigma: number, seed: number) {
  const { network, data, written } = prepared(name, sigma, seed);
  const { sharpness, bounds } = await checkBounds(network, data, written.set.values);
  const outputs = await figure2Outputs(network, data, written.set.values);
  const of = async (form: Form) => {
    const { values, moved } = written[form];
    if (!moved) return { moved, sharpness, factor: 1, apart: 0 };
    const own = await checkBounds(network, data, values);
    return { moved, sharpness: own.sharpness, ...compared(outputs, await figure2Outputs(network, data, values)) };
  };
  const by = { set: await of('set'), balanced: await of('balanced'), rescaled: await of('rescaled') };
  const cases = figure2Printed(network, data, written.set.values);
  return { network: name, sigma, seed, by, bounds, ...(cases.length > 0 && { printed: printedOf(cases) }) };
}

/** By which factor outputs differ, and how far they are apart from that. */
function compared(before: Float64Array, after: Float64Array): { factor: number; apart: number } {
  let [across, square, apart, largest] = [0, 0, 0, 0];
  before.forEach((value, i) => {
    across += value * after[i];
    square += value * value;
  });
  const factor = across / square;
  before.forEach((value, i) => {
    apart = Math.max(apart, Math.abs(after[i] - factor * value));
    largest = Math.max(largest, Math.abs(after[i]));
  });
  return { factor, apart: apart / largest };
}

function printedOf(cases: ReturnType<typeof figure2Printed>): Printed {
  const isAbove = (right: number, left: number) => right > left * (1 + 1e-9);
  const says = (k: number) => cases.filter(({ sums }) => sums[k].right > 0).length;
  return {
    cases: cases.length,
    positive: cases.filter(({ right }) => right > 0).length,
    falseWhenThin: cases.filter(({ left, thin }) => isAbove(thin, left)).length,
    sums: cases[0].sums.map((_, k) => says(k)),
    falseSums: cases.filter(({ sums }) => sums.some(({ left, right }) => isAbove(right, left))).length,
  };
}

/** What an interrupted run has kept of a cell, and the rest of it. */
export async function measuredCell(
  context: ReproductionContext,
  { network, sigma, seed, budget }: Pick<Cell, 'network' | 'sigma' | 'seed'> & Pick<Figure2Settings, 'budget'>,
): Promise<Cell> {
  const id = `${network}-${sigma}-${seed}`;
  const { by, ...rest } = await kept(context, `forms-${id}`, () => measureBounds(network, sigma, seed));
  // Apart: a training may take hours.
  const train = (form: Form) =>
    kept(context, `steps-${form}-${id}`, () => measureSteps(network, sigma, seed, form, budget));
  const steps = await train('set');
  const of = async (form: Form) => ({ ...by[form], steps: by[form].moved ? await train(form) : steps });
  return { ...rest, by: { set: await of('set'), balanced: await of('balanced'), rescaled: await of('rescaled') } };
}

/** A training of each form, all of its budget at most, at the pace of some steps here, and the Hessians. */
export async function plannedCells({ sigmas, seeds, budget }: Figure2Settings): Promise<PlannedPart[]> {
  const parts: PlannedPart[] = [];
  for (const name of figure2Names) {
    const network = figure2Networks[name];
    const [data, values] = [figure2Data(network, 1), figure2Weights(network, 1)];
    const timed = async (work: () => Promise<unknown>) => {
      const began = performance.now();
      await work();
      return (performance.now() - began) / 1000;
    };
    // What compiling takes is in both.
    const [few, more] = [50, 250];
    const training = (budget: number) => timed(() => stepsToConverge(network, data, values, { target: 0, budget }));
    const perStep = Math.abs((await training(few)) - (await training(more))) / (more - few);
    const perHessian = await timed(() => checkBounds(network, data, values));
    // What a form leaves where it was is not trained again.
    const { written } = prepared(name, sigmas[sigmas.length - 1], 1);
    const runs = (1 + forms.filter((form) => written[form].moved).length) * sigmas.length * seeds.length;
    const steps = runs * budget;
    const numbers = [...values.values()].reduce((sum, { length }) => sum + length, 0);
    const bytes = 2 * 8 * numbers ** 2;
    parts.push({ name, runs, steps, seconds: steps * perStep + runs * perHessian, bytes });
  }
  return parts;
}
