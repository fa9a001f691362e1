import { type FolderStore, JobQueue, parseQueueAddress, type QueueAddress } from '../../queue/index.js';

/** Where a queue's address may stand instead of on the command line, which others on the machine can read. */
const VARIABLE = 'WEIGHTLOCK_QUEUE';

/** The queue that was given, by flag or by variable; none: that within this process. */
export function queueAddress(given: string | undefined): QueueAddress | undefined {
  if (given !== undefined) return parseQueueAddress(given, '--queue');
  const text = process.env[VARIABLE] || undefined;
  return text === undefined ? undefined : parseQueueAddress(text, VARIABLE);
}

/** The queue of the jobs whose artifacts lie in a store: workers of another store never see them. */
export function openQueue(
  address: QueueAddress | undefined,
  { id }: Pick<FolderStore, 'id'>,
  onTrouble: (text: string) => void,
): Promise<JobQueue> {
  return JobQueue.open({ address, name: `sweep-${id}`, onTrouble });
}
