import { homedir } from 'node:os';
import { join } from 'node:path';
import { type HubSettings, openHubModel, parseHubId } from '../models/index.js';
import type { CommandContext } from './command.js';

/** What {@link modelArgument} needs of a command's context. */
type Context = Pick<CommandContext<[], never>, 'dryRun' | 'note' | 'print' | 'progress' | 'signal'>;

/**
 * The path of a model that a command is given: a path as it is, or for an id of the Hugging Face hub (`owner/name`,
 * `hf:owner/name@revision`) the folder of the cache that holds it, downloaded before if need be. What is downloaded is listed first.
 *
 * @returns `undefined` in a dry run that would have to download it: nothing else can be checked then.
 * @throws InputError when there is no such model, or no way to it.
 */
export async function modelArgument(
  argument: string,
  { dryRun, note, print, progress, signal }: Context,
): Promise<string | undefined> {
  const id = await parseHubId(argument);
  if (!id) return argument;
  let line: ReturnType<Context['progress']> | undefined;
  let done = 0;
  const path = await openHubModel(id, hubSettings(process.env), {
    signal,
    note,
    onPlan({ commit, files, bytes }) {
      const of = `${id.name}, commit ${commit}: ${files.length} files, ${megabytes(bytes)}`;
      if (dryRun) print(`would download ${of}`);
      else note(`downloads ${of}`);
      for (const file of files) (dryRun ? print : note)(`  ${file.path}  ${megabytes(file.size)}`);
      line = dryRun ? undefined : progress({ label: 'download', total: bytes });
      return !dryRun;
    },
    onBytes(count) {
      done += count;
      line?.update(done);
    },
  });
  line?.finish();
  return path;
}

/** The environment variables of huggingface_hub: `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_CACHE`, `HF_HOME`, `HF_HUB_OFFLINE`. */
export function hubSettings(env: Readonly<Record<string, string | undefined>>): HubSettings {
  // A variable that is set to nothing is as good as none.
  const value = (name: string) => env[name]?.trim() || undefined;
  const home = value('HF_HOME') ?? join(value('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'huggingface');
  const token = value('HF_TOKEN');
  return {
    endpoint: (value('HF_ENDPOINT') ?? 'https://huggingface.co').replace(/\/+$/, ''),
    ...(token !== undefined && { token }),
    cache: value('HF_HUB_CACHE') ?? value('HUGGINGFACE_HUB_CACHE') ?? join(home, 'hub'),
    offline: /^(1|on|yes|true)$/i.test(value('HF_HUB_OFFLINE') ?? ''),
  };
}

function megabytes(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
