export { parseQueueAddress, type QueueAddress } from './address.js';
export type { ArtifactStore, TreeFile } from './artifacts.js';
export { FolderStore } from './folder-store.js';
export { JobQueue, type JobState, type QueuedJob, type QueueOptions, type TakenJob } from './queue.js';
export { type S3Settings, S3Store } from './s3-store.js';
export { fileDigest, filesOf, isDigest, type TreeList, treeDigest } from './tree.js';
export { type WorkOptions, work } from './work.js';
