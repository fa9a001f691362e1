import { z } from 'zod';
import { attacked } from './attacked.js';
import { count, options, share, text, utilityChange } from './common.js';
import { lockedForm, lockJob } from './locked.js';

/** What commands find that attack several models or draws: sweeps and the demo. */

/** Form of what `weightlock sweep` found. */
export const sweep = z.strictObject({
  cells: z.array(
    z
      .strictObject({
        name: text,
        model: text,
        lock: text.optional(),
        attacks: text,
        options: options.describe('of the attacks'),
        locks: z.array(lockedForm).describe('its draws; none of a model that was locked before').optional(),
        attacked: attacked.optional(),
        failure: text.optional().describe('why nothing was measured'),
      })
      .describe('a model, a lock of it and the attacks on that'),
  ),
  failed: z.array(z.strictObject({ job: text, message: text })).describe('jobs that failed'),
});

/** Form of what `weightlock demo` found. */
export const demo = attacked.extend({
  test: utilityChange,
  sham: utilityChange.describe('what the training of the lock alone does to the authorized task').optional(),
  warnings: z.array(text),
  transformed: z.record(text, share),
  lock: lockJob,
  draws: z.array(z.strictObject({ test: utilityChange, lock: lockJob })).optional(),
  unauthorized: z.strictObject({ train: count, test: count }),
});
