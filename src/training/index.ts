export { type Checkpoint, checkpointToTensors, tensorsToCheckpoint } from './checkpoint.js';
export * from './optimizers/index.js';
export {
  constantSchedule,
  cosineSchedule,
  linearSchedule,
  type Schedule,
  type ScheduleEntry,
  schedules,
  stepSchedule,
} from './schedules.js';
