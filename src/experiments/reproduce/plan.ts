import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RunFolder } from '../../evidence/index.js';
import { silentProgress } from '../progress.js';
import { Plan, type PlannedPart } from '../run/index.js';
import type { Reproduction, ReproductionContext, Scale } from './reproduction.js';

/**
 * What an experiment would do: its parts, with the time that they take at the pace of one step here. Nothing is left on disk;
 * a rate that would follow from what an attack finds is the first of its search.
 */
export async function planReproduction(
  experiment: Reproduction,
  scale: Scale,
  context: Omit<ReproductionContext, 'folder' | 'progress' | 'plan'>,
): Promise<PlannedPart[]> {
  const root = await mkdtemp(join(tmpdir(), 'weightlock-plan-'));
  try {
    const folder = await RunFolder.open({ root, command: 'plan', config: { experiment: experiment.name, scale } });
    const plan = new Plan();
    await experiment.run(scale, { ...context, folder, progress: silentProgress, plan });
    await folder.close();
    return plan.parts;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
