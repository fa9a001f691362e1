import type { UtilityChange } from '../experiments/index.js';
import type { Utility } from '../training/index.js';
import { decimal, MISSING, percent } from './numbers.js';
import type { Table } from './table.js';

const columns = [
  { key: 'what', header: 'authorized task' },
  { key: 'before', header: 'before', align: 'right' as const },
  { key: 'after', header: 'after', align: 'right' as const },
  { key: 'float16', header: 'in fp16', align: 'right' as const },
  { key: 'bfloat16', header: 'in bf16', align: 'right' as const },
];

/** What is shown of a utility, a line each. */
const measures: readonly { what: string; show: (utility: Utility) => string }[] = [
  { what: 'accuracy', show: ({ accuracy }) => percent(accuracy) },
  { what: 'loss', show: ({ loss }) => small(loss) },
  { what: 'calibration error', show: ({ ece }) => (ece === null ? MISSING : percent(ece)) },
  { what: 'agreement', show: ({ agreement }) => percent(agreement) },
  { what: 'KL to the original', show: ({ kl }) => small(kl) },
  { what: 'logits', show: ({ logits }) => (logits === null ? MISSING : `${short(logits[0])} to ${short(logits[1])}`) },
  { what: 'outputs not finite', show: ({ notFinite }) => percent(notFinite) },
];

/** Three digits of what may be tiny or huge. */
function small(value: number | null): string {
  if (value === null) return MISSING;
  if (value !== 0 && Math.abs(value) < 5e-5) return '< 0.0001';
  return Math.abs(value) < 1 ? decimal(value, 4) : Math.abs(value) < 1000 ? decimal(value, 2) : short(value);
}

/** A logit in few characters. */
function short(value: number): string {
  const size = Math.abs(value);
  return size < 1e6 ? decimal(value, size < 10 ? 1 : 0) : value.toExponential(1).replace('e+', 'e').replace('-', '−');
}

/** What a lock costs the authorized task, also in the types that users compute in. */
export function utilityTable({ before, after }: UtilityChange, { title }: { title?: string } = {}): Table {
  return {
    title,
    columns,
    rows: measures.map(({ what, show }) => ({
      what,
      before: show(before.float32),
      after: show(after.float32),
      float16: show(after.float16),
      bfloat16: show(after.bfloat16),
    })),
    notes: [
      `Test examples: ${after.float32.n}. Calibration error: 15 bins of the predicted class. Agreement and KL (nats): with the float32 outputs before the lock. In fp16, bf16: after the lock, every value stored in 16 bits.`,
    ],
  };
}

/** What a lock costs the authorized task, in one sentence. */
export function utilitySentence({ before, after }: UtilityChange): string {
  const [a, b] = [before.float32, after.float32];
  const lost = 100 * (a.accuracy - b.accuracy);
  return (
    `Authorized accuracy: ${percent(a.accuracy)} before the lock, ${percent(b.accuracy)} after ` +
    `(${decimal(Math.abs(lost), 1)} points ${lost < 0 ? 'gained' : 'lost'}, n = ${b.n}); loss ${small(a.loss)} before, ${small(b.loss)} after; ` +
    `KL to the original ${small(b.kl)} nats, agreement ${percent(b.agreement)}.`
  );
}
