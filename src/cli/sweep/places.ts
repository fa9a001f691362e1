import { join } from 'node:path';
import {
  type ArtifactStore,
  FolderStore,
  JobQueue,
  parseQueueAddress,
  type QueueAddress,
  S3Store,
} from '../../queue/index.js';
import { InputError } from '../../registry/index.js';

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
  { id }: Pick<ArtifactStore, 'id'>,
  onTrouble: (text: string) => void,
): Promise<JobQueue> {
  return JobQueue.open({ address, name: `sweep-${id}`, onTrouble });
}

/**
 * The store that was given: a folder, or `s3://bucket/prefix` with the environment variables of Amazon's tools.
 *
 * @param runs - Folder of this machine for what is read from afar.
 */
export function openStore(given: string, runs: string): Promise<ArtifactStore> {
  if (!given.startsWith('s3://')) return FolderStore.open(given);
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL } = process.env;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) {
    throw new InputError('--artifacts: expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://, found none');
  }
  return S3Store.open({
    ...{ address: given, accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY },
    ...{ sessionToken: AWS_SESSION_TOKEN || undefined, region: AWS_REGION || undefined },
    ...{ endpoint: AWS_ENDPOINT_URL || undefined, cache: join(runs, 'sweep-artifacts') },
  });
}
