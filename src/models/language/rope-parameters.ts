import { z } from 'zod';
import type { RotaryFrequencies } from '../../nn/index.js';

/** The kinds of rotary position embedding that are read; transformers has more. */
const ropeTypes = ['default', 'linear', 'dynamic', 'yarn', 'llama3'] as const;

const number = z.number().positive().nullish();

/** What a rotary position embedding may be given, transformers 5's `rope_parameters` and 4's `rope_scaling`. */
const parameters = z.looseObject({
  rope_type: z.enum(ropeTypes, { error: unknownType }).nullish(),
  type: z.enum(ropeTypes, { error: unknownType }).nullish(),
  rope_theta: number,
  factor: z.number().min(1).nullish(),
  original_max_position_embeddings: z.int().min(1).nullish(),
  attention_factor: number,
  beta_fast: number,
  beta_slow: number,
  mscale: z.number().nullish(),
  mscale_all_dim: z.number().nullish(),
  truncate: z.boolean().nullish(),
  low_freq_factor: number,
  high_freq_factor: number,
  partial_rotary_factor: z
    .literal(1, {
      error: ({ input }) => `expected 1, the whole head turns in this family, found ${JSON.stringify(input)}`,
    })
    .nullish(),
});

/** Parameters of one rotary position embedding. */
export type RopeParameters = z.infer<typeof parameters>;

/** The keys of `config.json` that describe rotary position embeddings, all layers alike. */
export const ropeKeys = {
  rope_parameters: parameters.nullish().describe('rotary position embedding (transformers 5)'),
  rope_scaling: parameters.nullish().describe('scaling of the rotary position embedding (transformers 4)'),
  rope_theta: number.describe('base of the wavelengths (transformers 4)'),
  original_max_position_embeddings: parameters.shape.original_max_position_embeddings.describe(
    'context of the first training, where the embedding is scaled',
  ),
  partial_rotary_factor: parameters.shape.partial_rotary_factor.describe('share of a head that turns: all of it'),
};

/** The keys of a rotary position embedding as one value, for families that name them otherwise. */
export const ropeParameters = parameters;

function unknownType({ input }: { input?: unknown }): string {
  return `expected a rope_type among ${ropeTypes.join(', ')}, found ${JSON.stringify(input)}`;
}

/** A configuration as the frequencies depend on it. */
export interface RopeContext {
  /** Width of a head. */
  readonly headWidth: number;
  /** `max_position_embeddings`. */
  readonly positions: number;
}

/**
 * The parameters of a configuration: `rope_parameters`, or `rope_scaling`, which goes first where both are there, as in
 * transformers; `rope_theta` beside them or in them, default 10,000.
 */
export function ropeOf(config: {
  rope_parameters?: RopeParameters | null;
  rope_scaling?: RopeParameters | null;
  rope_theta?: number | null;
  original_max_position_embeddings?: number | null;
}): RopeParameters {
  const given = config.rope_scaling ?? config.rope_parameters ?? {};
  return {
    ...given,
    rope_theta: given.rope_theta ?? config.rope_theta ?? 10_000,
    original_max_position_embeddings:
      config.original_max_position_embeddings ?? given.original_max_position_embeddings ?? undefined,
  };
}

/** Keys that a kind of rotary position embedding cannot do without. */
const needed: Readonly<Record<(typeof ropeTypes)[number], readonly (keyof RopeParameters)[]>> = {
  default: [],
  linear: ['factor'],
  dynamic: ['factor'],
  yarn: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor'],
};

/** The first key that parameters lack; none where they are complete. */
export function missingRopeKey(rope: RopeParameters): string | undefined {
  return needed[ropeType(rope)].find((key) => rope[key] == null) as string | undefined;
}

/** What {@link ropeTypes} calls an embedding. */
function ropeType({ rope_type, type }: RopeParameters): (typeof ropeTypes)[number] {
  return rope_type ?? type ?? 'default';
}

/**
 * Whether the wavelengths depend on how long a text is beyond `max_position_embeddings` (dynamic NTK): there, padding would
 * change what a text's tokens give, so such texts are refused.
 */
export function endsAtContext(rope: RopeParameters): boolean {
  return ropeType(rope) === 'dynamic';
}

/**
 * The frequencies of a rotary position embedding, `θ^(−2i / d)` and what its kind makes of them, each rounded to float32 as
 * transformers does.
 *
 * @see transformers' `modeling_rope_utils.py`.
 */
export function ropeFrequencies(rope: RopeParameters, context: RopeContext): RotaryFrequencies {
  const { headWidth, positions } = context;
  const theta = rope.rope_theta ?? 10_000;
  const factor = rope.factor ?? 1;
  // [d / 2]
  const periods = Float32Array.from({ length: headWidth / 2 }, (_, i) => theta ** Math.fround((2 * i) / headWidth));
  const plain = periods.map((period) => 1 / period);
  switch (ropeType(rope)) {
    case 'linear':
      return { frequencies: plain.map((frequency) => frequency / factor), factor: 1 };
    case 'llama3':
      return { frequencies: plain.map((frequency) => llama3(frequency, rope, positions)), factor: 1 };
    case 'yarn':
      return yarn(periods, rope, { ...context, theta, factor });
    // Dynamic NTK changes nothing up to max_position_embeddings, and longer texts are refused.
    default:
      return { frequencies: plain, factor: 1 };
  }
}

/** Short wavelengths as they are, long ones stretched by `factor`, and in between a mixture (Llama 3.1). */
function llama3(frequency: number, rope: RopeParameters, positions: number): number {
  const { factor, low_freq_factor: low, high_freq_factor: high } = rope;
  const [by, from, to] = [factor ?? 1, low ?? 1, high ?? 1];
  const original = rope.original_max_position_embeddings ?? positions;
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength < original / to) return frequency;
  if (wavelength > original / from) return frequency / by;
  const smooth = (original / wavelength - from) / (to - from);
  return ((1 - smooth) * frequency) / by + smooth * frequency;
}

/** Peng et al., "YaRN", ICLR 2024: a ramp between stretched and plain frequencies, and sharper attention. */
function yarn(
  periods: Float32Array,
  rope: RopeParameters,
  { headWidth, positions, theta, factor }: RopeContext & { theta: number; factor: number },
): RotaryFrequencies {
  const original = rope.original_max_position_embeddings ?? positions;
  const pairOf = (turns: number) => (headWidth * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [first, last] = [pairOf(rope.beta_fast ?? 32), pairOf(rope.beta_slow ?? 1)];
  const whole = rope.truncate ?? true;
  const low = Math.max(whole ? Math.floor(first) : first, 0);
  const top = Math.min(whole ? Math.ceil(last) : last, headWidth - 1);
  const high = low === top ? top + 0.001 : top;
  const frequencies = periods.map((period, i) => {
    const stretched = Math.min(Math.max((i - low) / (high - low), 0), 1);
    return stretched / (factor * period) + (1 - stretched) / period;
  });
  const sharper = (mscale: number) => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1);
  const { mscale, mscale_all_dim: all } = rope;
  const inferred = mscale && all ? sharper(mscale) / sharper(all) : sharper(1);
  return { frequencies, factor: rope.attention_factor ?? inferred };
}
