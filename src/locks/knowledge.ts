import type { LockKnowledge } from './lock-method.js';

/** Which matrices a lock raised, by its patterns; nothing of those that are as by default. */
export function raisedNames({ include, exclude }: { include: readonly string[]; exclude: readonly string[] }) {
  return { ...(!include.includes('*') && { include }), ...(exclude.length > 0 && { exclude }) };
}

/**
 * What is known of several locks, one after the other: of each matrix as many singular values as any of them may have raised, and the
 * last mixture.
 */
export function joinKnowledge(parts: readonly LockKnowledge[]): LockKnowledge {
  const mixed = parts.flatMap((part) => part.mixed ?? []).at(-1);
  return { ...(mixed && { mixed }), ...joinRaised(parts) };
}

function joinRaised(parts: readonly LockKnowledge[]): Pick<LockKnowledge, 'raised'> {
  const raised = parts.flatMap((part) => part.raised ?? []);
  const [first, ...others] = raised;
  if (!first || others.length === 0) return first ? { raised: first } : {};
  const most = (counts: readonly number[]) => counts.reduce((a, b) => Math.max(a, b));
  const union = (lists: readonly (readonly string[])[]) => [...new Set(lists.flat())];
  const include = union(raised.map((each) => each.include ?? ['*']));
  // One that a single lock left alone may have been raised by another.
  const exclude = (first.exclude ?? []).filter((name) => others.every((other) => other.exclude?.includes(name)));
  const leading = raised.filter(({ lead }) => lead.include.length > 0).map(({ lead }) => lead);
  return {
    raised: {
      topK: most(raised.map(({ topK }) => topK)),
      ...raisedNames({ include, exclude }),
      lead: {
        topK: most((leading.length > 0 ? leading : raised).map(({ topK }) => topK)),
        include: union(leading.map((lead) => lead.include)),
      },
    },
  };
}
