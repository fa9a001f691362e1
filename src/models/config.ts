import { z } from 'zod';
import { InputError, inWords, Registry } from '../registry/index.js';
import { type Architecture, type ModelSpec, modelOf } from './architecture.js';
import { cifarResnets } from './cifar-resnet.js';
import { cnn } from './cnn.js';
import { classCountKey, withClassCount } from './labels.js';
import {
  bert,
  bertDlr,
  debertaV2,
  distilbert,
  gemma3,
  gpt2,
  llama,
  llamaDlr,
  mistral,
  qwen2,
  qwen3,
  roberta,
  xlmRoberta,
} from './language/index.js';
import { mlp } from './mlp.js';
import { resnets } from './resnet.js';
import { vit } from './vit.js';

/** All architectures by the name that `config.json` gives as `architecture`. */
export const architectures = new Registry<Architecture>('architecture', [
  cnn,
  mlp,
  ...resnets,
  ...cifarResnets,
  vit,
  bert,
  roberta,
  xlmRoberta,
  distilbert,
  debertaV2,
  llama,
  mistral,
  qwen2,
  qwen3,
  gemma3,
  gpt2,
  bertDlr,
  llamaDlr,
] as Architecture[]);

const jsonObject = z.record(z.string(), z.unknown());

/** Keys by which files of timm and Hugging Face are known: these hold keys that weightlock does not know. */
const foreignKeys = ['pretrained_cfg', 'architectures', 'model_type', 'transformers_version'];

/**
 * Finds out which model a `config.json` describes: by `architecture` (weightlock's own key, and timm's), by the class under
 * `architectures` (Hugging Face), or, where that is not set, by its `model_type`.
 *
 * @param source - The file, for messages.
 * @throws InputError when it names no known architecture, or a key is wrong.
 */
export function readConfig(config: unknown, source: string): ModelSpec {
  const object = jsonObject.safeParse(config);
  if (!object.success) throw new InputError(`${source}: expected an object, found ${JSON.stringify(config)}`);
  const { architecture: name, architectures: classes, model_type: type } = object.data;
  if (typeof name === 'string') {
    const architecture = architectures.get(name);
    const isTimm = 'pretrained_cfg' in architecture.config.shape;
    return parseConfig(architecture, isTimm ? fromTimm(object.data) : object.data, source);
  }
  return parseConfig(transformersFamily(type, classes, source), object.data, source);
}

/** The architecture that transformers means by a `model_type`, or by a class under `architectures`. */
function transformersFamily(type: unknown, classes: unknown, source: string): Architecture {
  const families = architectures.entries().filter((entry) => entry.classes !== undefined);
  const isOf = ({ classes: own = {} }: Architecture) =>
    Array.isArray(classes) && classes.some((name) => Object.hasOwn(own, String(name)));
  // A class says more than the family: it has the head. Where none is named, the family's first class counts.
  const family = families.find(({ name }) => name === type);
  const found = classes == null ? family : family && isOf(family) ? family : families.find(isOf);
  if (found) return found;
  const given = classes == null ? type : classes;
  const what = given === undefined ? 'neither' : JSON.stringify(given).slice(0, 80);
  const expected = family
    ? `one of ${Object.keys(family.classes ?? {}).join(', ')} under "architectures"`
    : `a key "architecture", or a "model_type" among ${families.map(({ name }) => name).join(', ')}`;
  throw new InputError(`${source}: expected ${expected}, found ${what}`);
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
  const given = withClassCount(config, classCountKey(architecture), source);
  const foreign = foreignKeys.some((key) => Object.hasOwn(config, key));
  const parsed = (foreign ? architecture.config.loose() : architecture.config).safeParse(given, {
    error: inWords,
  });
  if (parsed.success) return modelOf(architecture, parsed.data);
  const issue = parsed.error.issues[0];
  throw new InputError(`${source}: ${issue.path.join('.') || architecture.name}: ${issue.message}`);
}

/**
 * timm's configuration in its present form: old files have no `pretrained_cfg` but its keys at the top, and the number of
 * classes may stand there alone.
 */
function fromTimm(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { architecture, num_features, num_classes, labels, pretrained_cfg, ...others } = config;
  if (pretrained_cfg === undefined && 'input_size' in config) {
    const names = labels === undefined ? {} : { label_names: labels };
    const inner = { num_classes, ...others };
    return { architecture, ...(num_classes !== undefined && { num_classes }), ...names, pretrained_cfg: inner };
  }
  const inner = jsonObject.safeParse(pretrained_cfg);
  const count = inner.success ? inner.data.num_classes : undefined;
  return num_classes == null && count !== undefined ? { ...config, num_classes: count } : { ...config };
}
