import { INDEX, readIndex, requireWritable, SINGLE, TORCH_INDEX, TORCH_SINGLE } from '../../formats/index.js';
import { InputError, quote } from '../../registry/index.js';
import { belongsToModel } from '../model-files.js';
import { HubCache } from './cache.js';
import { HubClient, type HubFile, type HubSettings, HubUnreachable } from './client.js';
import { downloadBlob } from './download.js';
import type { HubId } from './id.js';

export type { HubFile, HubSettings } from './client.js';
export { type HubId, parseHubId } from './id.js';

/** What is about to be downloaded. */
export interface HubPlan {
  /** The commit that the revision is at; files and their digests are those of it. */
  readonly commit: string;
  /** What belongs to the model, weights last. */
  readonly files: readonly HubFile[];
  /** Bytes of all files. */
  readonly bytes: number;
}

/** Who hears of a download, and may end it. */
export interface HubContext {
  /** Ends it; what has come is kept. */
  readonly signal: AbortSignal;
  /** Hears what is to be downloaded, before it is; false ends it there. */
  onPlan(plan: HubPlan): boolean;
  /** Hears of bytes as they come. */
  onBytes(count: number): void;
  /** Hears what the user should know. */
  note(text: string): void;
}

/**
 * The folder of a model of the Hugging Face hub: in its cache, or downloaded into it. Only what belongs to a model is, of the
 * weights safetensors, or else those of torch.save. What the cache holds of a commit is used without asking anyone.
 *
 * @returns `undefined` when `onPlan` says no.
 * @throws InputError when there is no such model, no access to it, no network and nothing in the cache, or a file does not come as
 *   the hub lists it.
 */
export async function openHubModel(id: HubId, settings: HubSettings, context: HubContext): Promise<string | undefined> {
  const cache = new HubCache(settings.cache, id);
  const client = new HubClient(id, settings, context.signal);
  if (/^[0-9a-f]{40}$/.test(id.revision) && (await cache.isWhole(id.revision))) return cache.snapshot(id.revision);
  let commit: string;
  try {
    commit = await client.commit();
  } catch (error) {
    const kept = error instanceof HubUnreachable ? await cache.commitOf(id.revision) : undefined;
    if (kept === undefined || !(await cache.isWhole(kept))) throw error;
    context.note(`${id.name}: the hub was not asked or cannot be reached; commit ${kept} of the cache is used`);
    return cache.snapshot(kept);
  }
  if (!(await cache.isWhole(commit))) {
    const plan = await planDownload(client, cache, commit);
    if (!context.onPlan(plan)) return undefined;
    await requireWritable(settings.cache, 'folder', { bytes: plan.bytes });
    for (const file of plan.files) await download(client, cache, file, commit, context);
  }
  await cache.note(id.revision, commit);
  return cache.snapshot(commit);
}

async function download(
  client: HubClient,
  cache: HubCache,
  file: HubFile,
  commit: string,
  watch: Pick<HubContext, 'onBytes'>,
): Promise<void> {
  await downloadBlob(client, cache, file, commit, watch);
  await cache.place(file.path, commit, file.etag);
}

/** Chooses the files of a repository; of shards, the index is fetched for that, which names them. */
async function planDownload(client: HubClient, cache: HubCache, commit: string): Promise<HubPlan> {
  const listed = await client.files(commit);
  const byPath = new Map(listed.map((file) => [file.path, file]));
  const named = (path: string): HubFile => {
    const file = byPath.get(path);
    if (file) return file;
    throw new InputError(`${client.id.name}: expected a shard ${quote(path)}, which its index names, found none`);
  };
  const choose = async (): Promise<HubFile[]> => {
    for (const [single, index] of [
      [SINGLE, INDEX],
      [TORCH_SINGLE, TORCH_INDEX],
    ] as const) {
      if (byPath.has(single)) return [named(single)];
      if (!byPath.has(index)) continue;
      await download(client, cache, named(index), commit, { onBytes: () => undefined });
      const shardOf = await readIndex(cache.snapshot(commit), index);
      return [named(index), ...Array.from(new Set(shardOf?.values()), named)];
    }
    const others = listed
      .map(({ path }) => path)
      .filter((path) => /\.(gguf|h5|msgpack|onnx|pth?|ckpt|safetensors|bin)$/.test(path));
    const found = others.length === 0 ? 'no weights' : others.slice(0, 3).map(quote).join(', ');
    throw new InputError(`${client.id.name}: expected ${SINGLE} or ${TORCH_SINGLE} in this repository, found ${found}`);
  };
  const weights = await choose();
  const files = [...listed.filter(({ path }) => belongsToModel(path)), ...weights];
  return { commit, files, bytes: files.reduce((sum, { size }) => sum + size, 0) };
}
