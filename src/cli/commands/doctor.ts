import { z } from 'zod';
import { checkHealth } from '../../evidence/index.js';
import { defineCommand } from '../command.js';

/** `weightlock doctor`: can this machine run weightlock? */
export const doctor = defineCommand({
  name: 'doctor',
  summary: 'Check that this machine can run weightlock.',
  arguments: [],
  schema: z.strictObject({}),
  examples: ['weightlock doctor', 'weightlock doctor --json'],
  run: async ({ runs, print, result }) => {
    const checks = await checkHealth({ runs, data: process.env.WEIGHTLOCK_DATA });
    const width = Math.max(...checks.map(({ name }) => name.length));
    for (const { name, status, detail } of checks) print(`${status.padEnd(6)}  ${name.padEnd(width)}  ${detail}`);
    const healthy = checks.every(({ status }) => status !== 'failed');
    result({ healthy, checks });
    return healthy ? 0 : 1;
  },
});
