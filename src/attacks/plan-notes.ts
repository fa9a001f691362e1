import { type AttackChoice, type AttackSetting, type PlannedAttacks, type PlannedSearch, tooLong } from './plan.js';
import { onlyCandidate } from './search/search.js';

/** Which optimizers are not tried with which attacks that train, since these cannot use them: one sentence each, for people. */
export function optimizersLeftOut({ tried }: Pick<PlannedAttacks, 'tried'>, { optimizers }: AttackSetting): string[] {
  const found = new Set<string>();
  for (const { attack } of tried.filter(({ attack: each }) => each.trained.trains)) {
    const chosen = attack.trained.choose?.(optimizers) ?? optimizers;
    const idle = optimizers.filter((each) => !chosen.includes(each)).map(({ name }) => name);
    if (idle.length > 0) {
      found.add(
        `${attack.name} is not tried with ${idle.join(', ')}: not all weights are trained, which needs an optimizer of the gradient alone.`,
      );
    }
  }
  return [...found];
}

/** Which attacks do not fit the budget, since what they do before a trial leaves no step of it: one sentence each, for people. */
export function attacksTooLong(
  { tried }: Pick<PlannedAttacks, 'tried'>,
  setting: AttackSetting,
  { transforms: available = {} }: AttackChoice = {},
): string[] {
  return [...new Set(tried.map(({ attack }) => attack))].flatMap((attack) => {
    const found = tooLong(attack, setting, available);
    if (!found) return [];
    const { taken, most } = found;
    return [
      `${attack.name} is not tried: it does not fit the budget, since it takes ${taken} steps before a trial of ${most}.`,
    ];
  });
}

/** How many draws of a starting point no reported run takes, since each takes one by its seed: one sentence each, for people. */
export function drawsLeftOut(
  { tried }: Pick<PlannedAttacks, 'tried'>,
  { seeds }: Pick<AttackSetting, 'seeds'>,
): string[] {
  const found = new Set<string>();
  for (const { start, from } of tried.map((each) => each.start)) {
    // A search alone reports nothing.
    if (seeds.length === 0) break;
    const draws = from.kind === 'model' ? (from.draws?.length ?? 0) + 1 : 1;
    const left = draws - new Set(seeds.map((seed) => seed % draws)).size;
    if (left === 0) continue;
    found.add(
      `${left} of ${draws} draws of ${start.name} ${left === 1 ? 'is' : 'are'} not attacked: a run takes the draw of its seed modulo ${draws}, and the seeds are ${seeds.join(', ')}.`,
    );
  }
  return [...found];
}

/** How many draws of a starting point searches see, where that is not all, since each trial takes one by its seed: one sentence each, for people. */
export function drawsNotSearched(searches: readonly Pick<PlannedSearch, 'facts' | 'task'>[]): string[] {
  const found = new Set<string>();
  for (const { facts, task } of searches) {
    const { start, budget } = task;
    const draws = start.kind === 'model' ? (start.draws?.length ?? 0) + 1 : 1;
    const seen = new Set(budget.searchSeeds.map((seed) => seed % draws)).size;
    // Of one candidate nothing is searched.
    if (seen === draws || onlyCandidate(budget)) continue;
    found.add(
      `Searches see ${seen} of ${draws} draws of ${facts.start}: a trial takes the draw of its seed modulo ${draws}, and the seeds of the searches are ${budget.searchSeeds.join(', ')}.`,
    );
  }
  return [...found];
}
