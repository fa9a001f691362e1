import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasSharedData, reproduceSmoke } from './support/reproduce-smoke.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-reproduce-'));
});
afterAll(() => rm(root, { recursive: true }));

describe.skipIf(!hasSharedData)('reproduce, at scale smoke', () => {
  it.each([
    ['table1-vision', 4, 1],
    ['table3', 10, 1],
    ['fig4', 6, 1],
    ['table1-text', 2, 1],
    ['table2', 3, 0],
    ['fig3', 2, 0],
    ['releases', 1, 0],
  ])('%s has the columns and tasks of the paper', (name, columns, tasks) => {
    const { tables, attacks } = reproduceSmoke(name, root);
    expect(tables[0].columns).toHaveLength(columns);
    expect(attacks).toHaveLength(tasks);
  });
});
