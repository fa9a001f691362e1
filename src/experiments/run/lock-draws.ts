import type { LockedInfo, MadeModel, Part, Runner } from './runner.js';

/**
 * Locks copies of one model, each a draw of the same lock: the first by the run's seed, the others by those after it. Their parts are called
 * as the first, the second with `-2` behind it, and so on.
 *
 * @param draws - How many, at least 1.
 */
export async function lockDraws(
  runner: Runner,
  { name, phase }: Pick<Part, 'name' | 'phase'>,
  lock: Parameters<Runner['lock']>[1],
  draws: number,
): Promise<MadeModel<LockedInfo>[]> {
  const made: MadeModel<LockedInfo>[] = [];
  for (let draw = 1; draw <= draws; draw++) {
    const [ending, title] = draw > 1 ? [`-${draw}`, phase && `${phase} ${draw}`] : ['', phase];
    const part = { name: `${name}${ending}`, phase: title, seed: runner.spec.seed + draw - 1 };
    made.push(await runner.lock(part, lock));
  }
  return made;
}
