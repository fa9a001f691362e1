import { z } from 'zod';
import { inWords } from '../registry/index.js';

/** How a model's images are prepared: plain data, of the same shape as a data set's. */
export interface CardPreprocessing {
  /** Channels the model sees. */
  readonly channels: number;
  /** Height and width the model sees. */
  readonly size: readonly [height: number, width: number];
  /** Mean of each channel, of values 0 to 1. */
  readonly mean: readonly number[];
  /** Standard deviation of each channel, of values 0 to 1. */
  readonly std: readonly number[];
  /** How images of another size are resized. */
  readonly interpolation: 'bilinear' | 'bicubic';
}

/** What a file says of the preprocessing, and what of it cannot be done here. */
export interface ReadPreprocessing {
  /** Undefined where the file says nothing, or nothing that can be done. */
  readonly preprocessing?: CardPreprocessing;
  /** One line for each thing that is done otherwise than the file says. */
  readonly problems: readonly string[];
}

/** Numbers of Pillow's filters, as `resample` holds them. */
const filters = { bilinear: 2, bicubic: 3 } as const;
/** ViTImageProcessor's own mean and deviation, where its file gives none. */
const usual = 0.5;
/**
 * Means and deviations closer than this are the same: a quarter of one of 255 grey levels, where people round to three
 * decimals.
 */
const tolerance = 1e-3;

const perChannel = z.union([z.number(), z.array(z.number()).max(16)]).nullish();
const flag = z.boolean().nullish();

const processorFile = z.looseObject({
  image_processor_type: z.string().nullish(),
  feature_extractor_type: z.string().nullish(),
  image_mean: perChannel,
  image_std: perChannel,
  do_normalize: flag,
  do_rescale: flag,
  rescale_factor: z.number().positive().nullish(),
  do_resize: flag,
  resample: z.number().nullish(),
  do_center_crop: flag,
});

const timmFile = z.looseObject({
  mean: perChannel,
  std: perChannel,
  interpolation: z.string().nullish(),
  crop_pct: z.number().nullish(),
});

/** The shape of one example, where it is an image. */
export type ImageShape = readonly [channels: number, height: number, width: number];

/** `preprocessor_config.json`, as transformers' ViTImageProcessor reads it. */
export function processorConfig({ channels, size, mean, std, interpolation }: CardPreprocessing) {
  const [height, width] = size;
  return {
    image_processor_type: 'ViTImageProcessor',
    // Grey images are repeated, as weightlock does.
    ...(channels === 3 && { do_convert_rgb: true }),
    do_resize: true,
    size: { height, width },
    resample: filters[interpolation],
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: mean,
    image_std: std,
  };
}

/** The keys of timm's `pretrained_cfg` that say the same; `squash` resizes to height and width without a crop. */
export function timmKeys({ mean, std, interpolation }: CardPreprocessing) {
  return { mean, std, interpolation, crop_pct: 1, crop_mode: 'squash' };
}

/**
 * Reads a `preprocessor_config.json`. Height, width and channels are the model's own, which decide.
 *
 * @param file - Its parsed JSON, from an untrusted file.
 */
export function readProcessor(file: unknown, shape: ImageShape): ReadPreprocessing {
  const parsed = processorFile.safeParse(file, { error: inWords });
  if (!parsed.success) return { problems: [`preprocessor_config.json: ${complaint(parsed.error)}; it is not used`] };
  const { image_mean, image_std, do_normalize, do_rescale, resample, do_center_crop, ...rest } = parsed.data;
  const type = rest.image_processor_type ?? rest.feature_extractor_type ?? '';
  const missing = type.startsWith('ViT') ? usual : undefined;
  // Values times `scale` are what it normalizes: 1 where it divides bytes by 255.
  const scale = do_rescale === false ? 255 : 255 * (rest.rescale_factor ?? 1 / 255);
  const plain = do_normalize === false;
  const [mean, std] = [plain ? 0 : (image_mean ?? missing), plain ? 1 : (image_std ?? missing)];
  const divided = (value: number | number[] | undefined) =>
    typeof value === 'number' ? value / scale : value?.map((each) => each / scale);
  const names = ['image_mean', 'image_std'] as const;
  const found = assemble('preprocessor_config.json', names, divided(mean), divided(std), shape);
  if (!found.preprocessing) return found;
  const known = resample == null || resample === filters.bilinear || resample === filters.bicubic;
  const problems = [
    ...(do_center_crop ? ['preprocessor_config.json: do_center_crop: images are resized whole here, not cropped'] : []),
    ...(known ? [] : [`preprocessor_config.json: resample ${resample}: images are resized bilinearly here`]),
  ];
  const interpolation = resample === filters.bicubic ? 'bicubic' : 'bilinear';
  return { preprocessing: { ...found.preprocessing, interpolation }, problems };
}

/** Reads timm's `pretrained_cfg`, from an untrusted `config.json`. */
export function readTimmPreprocessing(config: unknown, shape: ImageShape): ReadPreprocessing {
  const parsed = timmFile.safeParse(config, { error: inWords });
  if (!parsed.success) return { problems: [`pretrained_cfg: ${complaint(parsed.error)}; it is not used`] };
  const { mean, std, interpolation, crop_pct } = parsed.data;
  if (mean == null && std == null) return { problems: [] };
  const found = assemble('pretrained_cfg', ['mean', 'std'], mean ?? undefined, std ?? undefined, shape);
  if (!found.preprocessing) return found;
  const known = interpolation == null || interpolation === 'bilinear' || interpolation === 'bicubic';
  const problems = [
    ...(crop_pct != null && crop_pct < 1
      ? [`pretrained_cfg.crop_pct ${crop_pct}: images are resized whole here, not cropped`]
      : []),
    ...(known ? [] : ['pretrained_cfg.interpolation: images are resized bilinearly here']),
  ];
  return {
    preprocessing: { ...found.preprocessing, interpolation: interpolation === 'bicubic' ? 'bicubic' : 'bilinear' },
    problems,
  };
}

/**
 * Where two ways to prepare images differ, one phrase each; none where they are the same to a quarter of a grey level.
 *
 * @param expected - The model's.
 * @param found - What was given.
 */
export function preprocessingDifferences(expected: CardPreprocessing, found: CardPreprocessing): string[] {
  const far = (a: readonly number[], b: readonly number[]) =>
    a.length !== b.length || a.some((value, channel) => Math.abs(value - b[channel]) > tolerance);
  const list = (values: readonly number[]) => values.map((value) => Number(value.toPrecision(4))).join(', ');
  return [
    ...(far(expected.mean, found.mean) ? [`mean ${list(expected.mean)}, here ${list(found.mean)}`] : []),
    ...(far(expected.std, found.std) ? [`deviation ${list(expected.std)}, here ${list(found.std)}`] : []),
    ...(expected.interpolation === found.interpolation
      ? []
      : [`images resized ${expected.interpolation}, here ${found.interpolation}`]),
  ];
}

/** One number for each channel, where the file's fit the model. */
function assemble(
  file: string,
  names: readonly [string, string],
  mean: number | number[] | undefined,
  std: number | number[] | undefined,
  [channels, height, width]: ImageShape,
): ReadPreprocessing {
  const each = (value: number | number[] | undefined) =>
    typeof value === 'number' || value?.length === 1
      ? Array.from({ length: channels }, () => (typeof value === 'number' ? value : value[0]))
      : value;
  const [means, deviations] = [each(mean), each(std)];
  const bad = [means, deviations].findIndex((values) => values?.length !== channels);
  if (!means || !deviations || bad !== -1) {
    return {
      problems: [`${file}: ${names[Math.max(bad, 0)]}: expected ${channels} numbers, one a channel; it is not used`],
    };
  }
  if (deviations.some((value) => !(value > 0))) {
    return { problems: [`${file}: ${names[1]}: expected numbers above 0; it is not used`] };
  }
  return {
    preprocessing: { channels, size: [height, width], mean: means, std: deviations, interpolation: 'bilinear' },
    problems: [],
  };
}

function complaint(error: z.ZodError): string {
  const [{ path, message }] = error.issues;
  return path.length > 0 ? `${path.join('.')}: ${message}` : message;
}
