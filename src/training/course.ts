import { z } from 'zod';
import { type Schedule, schedules, stepSchedule } from './schedules.js';

/** Options of how long a run is and how its learning rate changes, the same for training and locks. */
export function courseOptions({ steps, schedule }: { steps: number; schedule: string }) {
  return {
    steps: z.int().min(1).default(steps).describe('optimizer steps at most'),
    epochs: z
      .number()
      .positive()
      .optional()
      .describe('passes over the training examples, instead of steps; the last step of a part is done'),
    schedule: z
      .enum(schedules.names() as [string, ...string[]])
      .default(schedule)
      .describe('schedule of the learning rate'),
    gamma: z
      .number()
      .min(0)
      .default(0.7)
      .describe('what each epoch multiplies the learning rate by, with schedule step'),
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
  /** Factor of an epoch, with schedule step. */
  readonly gamma: number;
}

/** Steps of a run over `size` examples; a batch holds `batchSize` of them, or all where there are fewer. */
export function courseSteps({ steps, epochs }: Pick<Course, 'steps' | 'epochs'>, size: number, batchSize: number) {
  return epochs === undefined ? steps : Math.ceil((epochs * size) / Math.min(batchSize, size));
}

/** The schedule of a run; `step` falls with every epoch. */
export function courseSchedule(
  { schedule, gamma }: Pick<Course, 'schedule' | 'gamma'>,
  stepsPerEpoch: number,
): Schedule {
  return schedule === 'step' ? stepSchedule({ stepSize: stepsPerEpoch, gamma }) : schedules.get(schedule).create();
}
