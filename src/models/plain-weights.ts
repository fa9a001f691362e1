import { locateInside, readJsonFile, type TensorHeader } from '../formats/index.js';
import { InputError, quote } from '../registry/index.js';

/**
 * Refuses weights that are numbers only together with scales that stand elsewhere: read by themselves they would be wrong ones.
 *
 * @param config - What `config.json` says; none where there is no such file.
 * @param source - Folder or file, for messages.
 * @throws InputError when the configuration has a `quantization_config`, or 8-bit weights come with tensors of scales
 *   (`weight_scale`, `weight_scale_inv`).
 */
export function requirePlainWeights(headers: readonly TensorHeader[], config: unknown, source: string): void {
  const quantization = typeof config === 'object' && config !== null && 'quantization_config' in config;
  const advice = 'which is not undone; give the model in 16 or 32 bits';
  if (quantization && config.quantization_config != null) {
    const { quant_method: method } = Object(config.quantization_config) as { quant_method?: unknown };
    const how = typeof method === 'string' ? ` of ${quote(method)}` : '';
    throw new InputError(`${source}: expected plain weights, found a quantization_config${how}, ${advice}`);
  }
  const names = new Set(headers.map(({ name }) => name));
  for (const { name, dtype } of headers) {
    if (!/^(F8_|[IU]8$)/.test(dtype)) continue;
    const scale = scaleNames(name).find((each) => names.has(each));
    if (scale === undefined) continue;
    throw new InputError(
      `${source}: tensor ${quote(name)}: expected plain weights, found ${dtype} with scales in ${quote(scale)}, ${advice}`,
    );
  }
}

/** Names under which a weight's scales are kept by compressed-tensors, DeepSeek, ModelOpt and ComfyUI. */
function scaleNames(name: string): string[] {
  const stem = name.replace(/weight$/, '');
  return [
    `${name}_scale`,
    `${name}_scale_inv`,
    `${name}.scale`,
    `${stem}scale_weight`,
    `${stem}scale`,
    `${stem}scales`,
  ];
}

/**
 * Refuses weights that need scales which stand elsewhere, of a folder whose configuration has not been read; one that cannot be read
 * is left aside.
 *
 * @throws InputError naming the method, or the tensor and its scales.
 */
export async function requirePlainFolder(folder: string, headers: readonly TensorHeader[]): Promise<void> {
  const file = await locateInside(folder, 'config.json').catch(() => undefined);
  const config = file === undefined ? undefined : await readJsonFile(file).catch(() => undefined);
  requirePlainWeights(headers, config, folder);
}
