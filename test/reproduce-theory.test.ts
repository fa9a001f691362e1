import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reproduceSmoke } from './support/reproduce-smoke.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-theory-'));
});
afterAll(() => rm(root, { recursive: true }));

// These need no data sets.
describe('reproduce, at scale smoke', () => {
  it('fig1: steps grow with κ as theory says, and learning rates end where it says', () => {
    const { claims, series } = reproduceSmoke('fig1', root);
    expect(claims.map(({ verdict }) => verdict)).toEqual(['holds', 'holds', 'holds']);
    const [steps] = series ?? [];
    const labels = steps.lines.filter(({ theory }) => !theory).map(({ label }) => label);
    expect(labels).toEqual(['gradient descent', 'heavy ball', 'Nesterov', 'Adam']);
    for (const { points } of steps.lines) expect(points.map(({ x }) => x)).toEqual([1, 10, 100, 1000]);
  });
});
