import { stat } from 'node:fs/promises';
import { InputError } from '../../registry/index.js';

/** A model of the Hugging Face hub. */
export interface HubId {
  /** `owner/name`. */
  readonly name: string;
  /** Branch, tag or commit. */
  readonly revision: string;
}

/** As the hub allows them: letters, digits, `-`, `_`, `.`; the first is a letter or digit. */
const PART = '[A-Za-z0-9][\\w.-]{0,95}';
const ID = new RegExp(`^(hf:)?(${PART}/${PART}|${PART})(?:@([\\w][\\w./-]{0,199}))?$`);

/**
 * Reads a model argument as an id of the hub: `owner/name`, `owner/name@revision`, either with `hf:` in front. Without `hf:`, what
 * lies on the disk is no id, and neither is what begins with a folder that does: a path with a slip of the pen goes nowhere.
 *
 * @returns `undefined` for what is a path.
 * @throws InputError for `hf:` with no id behind it.
 */
export async function parseHubId(argument: string): Promise<HubId | undefined> {
  const [, prefix, name, revision = 'main'] = ID.exec(argument) ?? [];
  const isId = name !== undefined && !/\.\.|--|\.git$|[.-]$/.test(name) && !/\.\.|\/\/|\/$/.test(revision);
  if (!isId) {
    if (!argument.startsWith('hf:')) return undefined;
    throw new InputError(`${argument}: expected hf:owner/name or hf:owner/name@revision`);
  }
  if (prefix !== undefined) return { name, revision };
  const [owner = '', own] = name.split('/');
  const exists = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined;
  return own === undefined || (await exists(argument)) || (await exists(owner)) ? undefined : { name, revision };
}
