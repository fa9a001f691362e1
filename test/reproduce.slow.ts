import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockMethods } from '../src/locks/index.js';
import { hasSharedData, reproduceSmoke } from './support/reproduce-smoke.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-reproduce-'));
});
afterAll(() => rm(root, { recursive: true }));

describe.skipIf(!hasSharedData)('reproduce, at scale smoke', () => {
  it.each([
    ['table1-vision', 4, 1],
    ['table3', 11, 1],
    ['fig4', 7, 1],
    ['table1-text', 2, 1],
    ['table2', 3, 0],
    ['fig3', 2, 0],
    ['releases', 1, 0],
  ])('%s has the columns and tasks of the paper', (name, columns, tasks) => {
    const { tables, attacks, claims } = reproduceSmoke(name, root);
    // What holds the paper's own rates alone comes before the table of all optimizers.
    expect(tables.map((table) => table.columns.length)).toContain(columns);
    expect(attacks).toHaveLength(tasks);
    // This scale draws each lock once or twice.
    const ofLocks = claims.filter(({ text }) => /\block(ed)?\b/.test(text));
    for (const { verdict, finding } of ofLocks) {
      expect(verdict).toBe('unmeasured');
      expect(finding).toMatch(/^(one draw of the lock says|2 draws of the lock say) nothing of another: /);
    }
    expect(ofLocks.length > 0).toBe(name !== 'releases');
  });

  it('table3 has the control beside its lock', () => {
    const { tables, attacks } = reproduceSmoke('table3', root);
    expect(tables[0].rows.map(({ label }) => label)).toContain('Sham lock');
    expect(attacks[0].rows.map(({ countsAs }) => countsAs)).toContain('control');
  });

  it('pretrained-vision: a published network keeps its accuracy, is locked and attacked', () => {
    const { claims, tables } = reproduceSmoke('pretrained-vision', root);
    // The one claim that even this scale decides: the published weights are read right.
    expect(claims[0]).toMatchObject({ verdict: 'holds', finding: '80.4 %, expected 80.4 %' });
    expect(tables[0].rows[0].cells[0]).toEqual({ paper: 0.804, ours: [0.804] });
  });

  it('frontier judges every lock that has what it needs, and a control of each training', () => {
    const { frontier, setup } = reproduceSmoke('frontier', root);
    // Of language models alone is what puts another architecture in the place of theirs.
    const all = lockMethods.names().filter((name) => {
      const { proxies, rebuilds } = lockMethods.get(name);
      return proxies !== 'required' && !rebuilds;
    });
    const points = frontier?.points ?? [];
    const locks = points.filter((point) => point.class !== undefined);
    expect(locks.map(({ method }) => method).sort()).toEqual(all.sort());
    const controlled = points.flatMap(({ controls = [] }) => controls);
    expect(controlled.sort()).toEqual(all.filter((name) => lockMethods.get(name).sham));
    for (const { lost, flops } of points) {
      expect(lost).toHaveLength(2);
      expect(flops).toBeGreaterThan(0);
    }
    expect(setup.join(' ')).toContain('trap was left out');
  });
});
