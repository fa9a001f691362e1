import { z } from 'zod';
import { InputError } from '../formats/index.js';
import type { Architecture, ModelSpec } from './architecture.js';
import { cifarResnets } from './cifar-resnet.js';
import { cnn } from './cnn.js';
import { mlp } from './mlp.js';
import { Registry } from './registry.js';
import { resnets } from './resnet.js';
import { suggest } from './suggest.js';
import { vit } from './vit.js';

/** All architectures by the name that `config.json` gives as `architecture`. */
export const architectures = new Registry<Architecture>('architecture', [
  cnn,
  mlp,
  ...resnets,
  ...cifarResnets,
  vit,
] as Architecture[]);

const jsonObject = z.record(z.string(), z.unknown());

/**
 * Finds out which model a `config.json` describes: by `architecture` (weightlock's own key, and timm's), or by the class
 * under `architectures` (Hugging Face).
 *
 * @param source - The file, for messages.
 * @throws InputError when it names no known architecture, or a key is wrong.
 */
export function readConfig(config: unknown, source: string): ModelSpec {
  const object = jsonObject.safeParse(config);
  if (!object.success) throw new InputError(`${source}: expected an object, found ${JSON.stringify(config)}`);
  const { architecture: name, architectures: classes } = object.data;
  if (typeof name === 'string') return parseConfig(architectures.get(name), object.data, source);
  const known = architectures.entries();
  const byClass = Array.isArray(classes)
    ? known.find(({ huggingFaceClass }) => huggingFaceClass !== undefined && classes.includes(huggingFaceClass))
    : undefined;
  if (byClass) return parseConfig(byClass, object.data, source);
  const names = known.flatMap(({ huggingFaceClass }) => huggingFaceClass ?? []).join(', ') || 'none';
  const found = classes === undefined ? 'neither' : JSON.stringify(classes).slice(0, 80);
  throw new InputError(
    `${source}: expected a key "architecture", or one of ${names} under "architectures", found ${found}`,
  );
}

/**
 * Checks a configuration and fills in its defaults. Files of timm and Hugging Face hold keys that weightlock does not
 * know: there they are kept, elsewhere they are errors.
 *
 * @param source - Where it is from, for messages.
 * @throws InputError naming the first key that is wrong.
 */
export function parseConfig(
  architecture: Architecture,
  config: Readonly<Record<string, unknown>>,
  source: string,
): ModelSpec {
  const foreign = ['pretrained_cfg', 'architectures'].some((key) => Object.hasOwn(config, key));
  const parsed = (foreign ? architecture.config.loose() : architecture.config).safeParse(config);
  if (parsed.success) return { architecture, config: parsed.data };
  const issue = parsed.error.issues[0];
  const near =
    issue.code === 'unrecognized_keys' ? suggest(issue.keys[0], Object.keys(architecture.config.shape)) : undefined;
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  throw new InputError(`${source}: ${issue.path.join('.') || architecture.name}: ${issue.message}${hint}`);
}
