import { z } from 'zod';
import { optionsOf, optionsUnder, parseOptions } from '../registry/index.js';
import { type Schedule, schedules, stepOptions } from './schedules.js';
import { type OtherDefaults, withDefaults } from './with-defaults.js';

/** A schedule with its options: plain data. */
export interface ScheduleSpec {
  /** Name in the registry of schedules. */
  readonly name: string;
  /** Its options; default the registry's, but that `step` falls with every epoch, by 0.7. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Of a run that knows its epochs, `step` falls with each. */
const epochStepOptions = stepOptions.extend({
  stepSize: stepOptions.shape.stepSize.unwrap().optional().describe('steps between two falls; default an epoch'),
  gamma: stepOptions.shape.gamma.unwrap().default(0.7).describe(String(stepOptions.shape.gamma.description)),
});

/** Schedules of runs that know their epochs. */
export const courseSchedules = schedules
  .entries()
  .map((entry) => (entry.name === 'step' ? { ...entry, options: epochStepOptions } : entry));

/**
 * Options that choose a schedule of the learning rate, and the options of each under its name; for a schema that goes through
 * `withChoices` or {@link withOptimizers}.
 *
 * @param schedule - The default.
 * @param defaults - Options of schedules that are not their own defaults, by the name of the schedule.
 */
export function scheduleOptions(schedule: string, defaults: OtherDefaults = {}) {
  const entries = courseSchedules.map(({ name, options }) => ({
    name,
    options: withDefaults(options, defaults[name]),
  }));
  const groups: Record<never, never> = optionsOf('schedule', entries);
  return {
    schedule: z
      .enum(schedules.names() as [string, ...string[]])
      .default(schedule)
      .describe('schedule of the learning rate'),
    // Which groups there are depends on the registry, so no type knows them; chosenSchedule finds them.
    ...groups,
  };
}

/**
 * Options of how long a run is and how its learning rate changes, the same for training and locks.
 *
 * @param defaults - `schedules`: options of schedules that are not their own defaults, by the name of the schedule.
 */
export function courseOptions({
  steps,
  schedule,
  schedules: defaults,
}: {
  steps: number;
  schedule: string;
  schedules?: OtherDefaults;
}) {
  return {
    steps: z.int().min(1).default(steps).describe('optimizer steps at most'),
    epochs: z
      .number()
      .positive()
      .optional()
      .describe('passes over the training examples, instead of steps; the last step of a part is done'),
    accumulate: z
      .int()
      .min(1)
      .max(4096)
      .default(1)
      .describe('parts that a batch is computed in, one after the other, to hold less in memory; the step is the same'),
    recompute: z
      .boolean()
      .default(false)
      .describe(
        'compute each block a second time for its gradients instead of holding it in memory; the step is the same',
      ),
    ...scheduleOptions(schedule, defaults),
  };
}

/** What {@link courseOptions} give. */
export interface Course {
  /** Optimizer steps, where no epochs are given. */
  readonly steps: number;
  /** Passes over the training examples. */
  readonly epochs?: number;
  /** Name of the schedule. */
  readonly schedule: string;
}

/** Steps of a run over `size` examples; a batch holds `batchSize` of them, or all where there are fewer. */
export function courseSteps({ steps, epochs }: Pick<Course, 'steps' | 'epochs'>, size: number, batchSize: number) {
  return epochs === undefined ? steps : Math.ceil((epochs * size) / Math.min(batchSize, size));
}

/** The schedule that options chose, parsed by a schema with {@link scheduleOptions}. */
export function chosenSchedule(options: Pick<Course, 'schedule'>): ScheduleSpec {
  return { name: options.schedule, options: optionsUnder(options, options.schedule) };
}

/**
 * Makes the schedule of a run.
 *
 * @throws InputError when the options do not fit.
 */
export function createSchedule({ name, options = {} }: ScheduleSpec, stepsPerEpoch: number): Schedule {
  const entry = schedules.get(name);
  if (name !== 'step') return entry.create(options);
  return entry.create({ stepSize: stepsPerEpoch, ...parseOptions(epochStepOptions, options, name) });
}

/** The schedule of a run from its options; see {@link createSchedule}. */
export function courseSchedule(options: Pick<Course, 'schedule'>, stepsPerEpoch: number): Schedule {
  return createSchedule(chosenSchedule(options), stepsPerEpoch);
}
