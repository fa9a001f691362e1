import { z } from 'zod';
import { checkHealth } from '../../evidence/index.js';
import { tableToText } from '../../report/index.js';
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
    print(
      tableToText({
        columns: [
          { key: 'status', header: 'status' },
          { key: 'name', header: 'what' },
          { key: 'detail', header: 'found' },
        ],
        rows: checks.map(({ name, status, detail }) => ({ status, name, detail })),
      }),
    );
    const healthy = checks.every(({ status }) => status !== 'failed');
    result({ healthy, checks });
    return healthy ? 0 : 1;
  },
});
