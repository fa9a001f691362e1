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
  it('pretrained-vision: a published network keeps its accuracy, is locked and attacked', () => {
    const { claims, tables } = reproduceSmoke('pretrained-vision', root);
    // The one claim that even this scale decides: the published weights are read right.
    expect(claims[0]).toMatchObject({ verdict: 'holds', finding: '80.4 %, expected 80.4 %' });
    expect(tables[0].rows[0].cells[0]).toEqual({ paper: 0.804, ours: [0.804] });
  });
});
