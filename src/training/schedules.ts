import { z } from 'zod';
import { parseOptions, Registry } from '../registry/index.js';

/** How the learning rate changes during a run: rate at a step = base rate · factor. */
export interface Schedule {
  /** Its name in the registry. */
  readonly name: string;
  /**
   * The factor of one step.
   *
   * @param step - From 0, the run's first step.
   * @param totalSteps - Steps of the whole run, warmup included; later steps keep the last factor.
   */
  factor(step: number, totalSteps: number): number;
}

/** One row of the registry of schedules. */
export interface ScheduleEntry {
  /** Name on the command line and in files. */
  readonly name: string;
  /** One line for the help text. */
  readonly description: string;
  /** Strict schema of the options. */
  readonly options: z.ZodObject;
  /**
   * Makes the schedule.
   *
   * @throws InputError when the options do not fit the schema.
   */
  create(options?: Readonly<Record<string, unknown>>): Schedule;
}

const warmup = {
  warmupSteps: z.int().min(0).default(0).describe('steps over which the factor first rises in a line to 1'),
  warmupStart: z.number().min(0).max(1).default(0).describe('factor at the first step of the warmup'),
};

const constantOptions = z.strictObject({
  ...warmup,
  initialFactor: z.number().min(0).default(1).describe('factor during the initial steps'),
  initialSteps: z.int().min(0).default(0).describe('steps with the initial factor; after them it is 1'),
});

const linearOptions = z.strictObject({
  ...warmup,
  endFactor: z.number().min(0).default(0).describe('factor at the end of the run'),
});

const cosineOptions = z.strictObject({
  ...warmup,
  minFactor: z.number().min(0).max(1).default(0).describe('factor at the end of the run'),
});

/** Options of {@link stepSchedule}. */
export const stepOptions = z.strictObject({
  ...warmup,
  stepSize: z.int().min(1).default(1000).describe('steps between two falls (for epochs: epochs · steps per epoch)'),
  gamma: z.number().min(0).default(0.1).describe('what each fall multiplies the factor by'),
});

/** Runs a linear rise first, then the schedule over what is left of the run. */
function afterWarmup(
  name: string,
  { warmupSteps, warmupStart }: { warmupSteps: number; warmupStart: number },
  factor: Schedule['factor'],
): Schedule {
  return {
    name,
    factor: (step, totalSteps) =>
      step < warmupSteps
        ? warmupStart + (1 - warmupStart) * (step / warmupSteps)
        : factor(step - warmupSteps, totalSteps - warmupSteps),
  };
}

/** The part of the run that is over, from 0 to 1. */
function progress(step: number, totalSteps: number): number {
  return step < totalSteps ? step / totalSteps : 1;
}

/**
 * A constant learning rate, after another constant one on demand: initialFactor for initialSteps, then 1.
 *
 * @param options - `initialFactor` 1, `initialSteps` 0, `warmupSteps` 0, `warmupStart` 0.
 * @throws InputError when the options do not fit.
 * @see torch.optim.lr_scheduler.ConstantLR
 */
export function constantSchedule(options: z.input<typeof constantOptions> = {}): Schedule {
  const parsed = parseOptions(constantOptions, options, 'constant');
  const { initialFactor, initialSteps } = parsed;
  return afterWarmup('constant', parsed, (step) => (step < initialSteps ? initialFactor : 1));
}

/**
 * A line from 1 to endFactor: 1 + (endFactor − 1) · step / totalSteps.
 *
 * @param options - `endFactor` 0, `warmupSteps` 0, `warmupStart` 0.
 * @throws InputError when the options do not fit.
 * @see torch.optim.lr_scheduler.LinearLR
 */
export function linearSchedule(options: z.input<typeof linearOptions> = {}): Schedule {
  const parsed = parseOptions(linearOptions, options, 'linear');
  const { endFactor } = parsed;
  return afterWarmup('linear', parsed, (step, totalSteps) => 1 + (endFactor - 1) * progress(step, totalSteps));
}

/**
 * Half a cosine from 1 to minFactor: minFactor + (1 − minFactor) · (1 + cos(π · step / totalSteps)) / 2.
 *
 * Past the end it stays at minFactor, where PyTorch's rises again.
 *
 * @param options - `minFactor` 0, `warmupSteps` 0, `warmupStart` 0.
 * @throws InputError when the options do not fit.
 * @see Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017 (without restarts);
 * torch.optim.lr_scheduler.CosineAnnealingLR
 */
export function cosineSchedule(options: z.input<typeof cosineOptions> = {}): Schedule {
  const parsed = parseOptions(cosineOptions, options, 'cosine');
  const { minFactor } = parsed;
  return afterWarmup('cosine', parsed, (step, totalSteps) => {
    const wave = (1 + Math.cos(Math.PI * progress(step, totalSteps))) / 2;
    return minFactor + (1 - minFactor) * wave;
  });
}

/**
 * Falls by a factor at regular distances: gamma^⌊step / stepSize⌋.
 *
 * @param options - `stepSize` 1000 steps, `gamma` 0.1, `warmupSteps` 0, `warmupStart` 0.
 * @throws InputError when the options do not fit.
 * @see torch.optim.lr_scheduler.StepLR
 */
export function stepSchedule(options: z.input<typeof stepOptions> = {}): Schedule {
  const parsed = parseOptions(stepOptions, options, 'step');
  const { stepSize, gamma } = parsed;
  return afterWarmup('step', parsed, (step) => gamma ** Math.floor(step / stepSize));
}

/** All schedules by name; they follow torch.optim.lr_scheduler. */
export const schedules = new Registry<ScheduleEntry>('schedule', [
  {
    name: 'constant',
    description: 'the same learning rate throughout',
    options: constantOptions,
    create: constantSchedule,
  },
  {
    name: 'linear',
    description: 'falls in a line to endFactor at the end of the run',
    options: linearOptions,
    create: linearSchedule,
  },
  {
    name: 'cosine',
    description: 'falls along half a cosine to minFactor at the end of the run',
    options: cosineOptions,
    create: cosineSchedule,
  },
  {
    name: 'step',
    description: 'falls by gamma each stepSize steps',
    options: stepOptions,
    create: stepSchedule,
  },
]);
