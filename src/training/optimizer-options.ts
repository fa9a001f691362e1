import { z } from 'zod';
import { InputError, matchesAny, optionsOf, optionsUnder, withChoices } from '../registry/index.js';
import { clipped } from './optimizers/clipped.js';
import { grouped } from './optimizers/grouped.js';
import { type Optimizer, type OptimizerEntry, optimizers, type ParameterShapes } from './optimizers/index.js';
import { type OtherDefaults, withDefaults } from './with-defaults.js';

/** How weights are moved along their gradients: plain data, for files and other processes. */
export interface OptimizerSpec extends Partial<Moving> {
  /** Name in the registry of optimizers. */
  readonly name: string;
  /** Its options; default the registry's. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** What holds for any optimizer. */
export interface Moving {
  /** Longest gradient over all parameters; 0: no limit. */
  readonly clipNorm: number;
  /** Which parameters the optimizer's weight decay is for: all, or those of two axes and more. */
  readonly decay: 'all' | 'matrices';
  /** Factors of the learning rate, `pattern=factor`; the first pattern that fits a name counts. */
  readonly rateFactors: readonly string[];
}

/** Options that hold for any optimizer. */
export const movingOptions = {
  clipNorm: z
    .number()
    .min(0)
    .default(0)
    .describe('longest gradient over all parameters, a longer one is scaled down to it; 0: no limit'),
  decay: z
    .enum(['all', 'matrices'])
    .default('all')
    .describe(
      'what the weight decay of the optimizer is for; matrices: not for norms and biases (fewer than two axes)',
    ),
  rateFactors: z
    .array(
      z.string().refine((text) => /^.+=(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text), {
        message: 'expected pattern=factor, such as conv*=0.1',
      }),
    )
    .default([])
    .describe(
      'factors of the learning rate by parameter name, such as conv*=0.1, * stands for any characters; the first that fits counts',
    ),
};

const enumOf = (names: string[]) => z.enum(names as [string, ...string[]]);

/**
 * Options that choose one optimizer, the options of each under its name, and what holds for any; for a schema that goes through
 * {@link withOptimizers}.
 *
 * @param options - `optimizer`: the default. `among`: the optimizers to choose from, default all. `description`: for help.
 *   `defaults`: options of optimizers that are not their own defaults, by the name of the optimizer.
 */
export function optimizerOptions({
  optimizer,
  among = optimizers.entries(),
  description = 'optimizer',
  defaults = {},
}: {
  optimizer: string;
  among?: readonly OptimizerEntry[];
  description?: string;
  defaults?: OtherDefaults;
}) {
  const entries = among.map(({ name, options }) => ({ name, options: withDefaults(options, defaults[name]) }));
  return {
    optimizer: enumOf(among.map(({ name }) => name))
      .default(optimizer)
      .describe(description),
    ...movingOptions,
    ...ungrouped(optionsOf('optimizer', entries)),
  };
}

/**
 * Options that choose several optimizers for a search over their learning rates; each optimizer's defaults are those that its entry
 * has for searches.
 *
 * @param names - The default.
 */
export function searchedOptimizerOptions(names: readonly string[]) {
  const entries = optimizers.entries().map(({ name, options, search }) => ({
    name,
    options: withDefaults(options, search.options),
  }));
  return {
    optimizers: z
      .array(enumOf(optimizers.names()))
      .min(1)
      .refine((found) => new Set(found).size === found.length, { message: 'expected each optimizer once' })
      .default([...names])
      .describe('optimizers to search, each over six decades of learning rates'),
    ...movingOptions,
    ...ungrouped(optionsOf('optimizers', entries)),
  };
}

/** Which groups there are depends on the registry, so the type of a schema leaves them out: {@link chosenOptimizer} finds them. */
function ungrouped(groups: object): Record<never, never> {
  return groups;
}

/**
 * A schema with {@link optimizerOptions} or {@link searchedOptimizerOptions} whose parsed options hold those of the chosen optimizers
 * alone, defaults filled in. Refuses what would do nothing: options of an optimizer that is not chosen, `decay` where no weight
 * decays, `rateFactors` for an optimizer that cannot have them.
 */
export function withOptimizers<Schema extends z.ZodObject>(schema: Schema): Schema {
  const whole = withChoices(schema);
  if (whole === schema) return schema;
  return whole.superRefine((options, context) => {
    const {
      optimizer,
      optimizers: several,
      ...moving
    } = options as Partial<Moving> & {
      optimizer?: string;
      optimizers?: readonly string[];
    };
    const specs = (several ?? (optimizer === undefined ? [] : [optimizer])).map((name) => ({
      name,
      options: optionsUnder(options, name),
    }));
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (moving.decay === 'matrices' && !specs.some(decaysApart)) {
      refuse('decay', `expected an optimizer ${specs.some(decays) ? apart : decaying} (chosen: ${namesOf(specs)})`);
    }
    const joint = specs.filter(({ name }) => optimizers.get(name).isJoint);
    if (moving.rateFactors && moving.rateFactors.length > 0 && joint.length > 0) {
      refuse('rateFactors', `expected optimizers that move each parameter by itself, not ${namesOf(joint)}`);
    }
  });
}

const namesOf = (specs: readonly OptimizerSpec[]) => specs.map(({ name }) => name).join(', ');

/** What `decay` asks of an optimizer. */
const decaying = 'whose weightDecay is above 0';
const apart = 'that moves each parameter by itself';

/** Whether an optimizer takes off a share of the weights. */
function decays({ options = {} }: OptimizerSpec): boolean {
  return Number(options.weightDecay ?? 0) > 0;
}

/** Whether it can do so for some of the parameters alone. */
function decaysApart(spec: OptimizerSpec): boolean {
  return decays(spec) && !optimizers.get(spec.name).isJoint;
}

/**
 * The optimizer that options chose, or the one of a name where they chose several.
 *
 * @param options - Parsed by a schema of {@link withOptimizers}.
 */
export function chosenOptimizer(options: Moving & { readonly optimizer: string }): OptimizerSpec;
export function chosenOptimizer(options: Moving, name: string): OptimizerSpec;
export function chosenOptimizer(
  options: Moving & { readonly optimizer?: string },
  name = String(options.optimizer),
): OptimizerSpec {
  const { clipNorm, decay, rateFactors } = options;
  const spec = { name, options: optionsUnder(options, name) };
  return {
    ...spec,
    ...(clipNorm > 0 && { clipNorm }),
    // Among several optimizers some may have no decay, or none for some parameters alone.
    ...(decay !== 'all' && decaysApart(spec) && { decay }),
    ...(rateFactors.length > 0 && { rateFactors }),
  };
}

/**
 * Makes an optimizer.
 *
 * @param shapes - Shapes of all parameters, which decide about decay; needed for `decay` and `rateFactors` alone.
 * @throws InputError when the options do not fit, or `decay` or `rateFactors` cannot do anything.
 * @example createOptimizer({ name: 'adamw', decay: 'matrices', clipNorm: 1 }, objective.shapes)
 */
export function createOptimizer(spec: OptimizerSpec, shapes?: ParameterShapes): Optimizer {
  const { clipNorm = 0, decay = 'all', rateFactors = [] } = spec;
  const isPlain = decay === 'all' && rateFactors.length === 0;
  const made = isPlain ? optimizers.get(spec.name).create(spec.options) : parameterGroups(spec, shapes);
  return clipNorm > 0 ? clipped(made, clipNorm) : made;
}

function parameterGroups(
  { name, options, decay, rateFactors = [] }: OptimizerSpec,
  shapes?: ParameterShapes,
): Optimizer {
  if (!shapes) throw new InputError(`${name}: expected shapes of the parameters for decay or rateFactors, found none`);
  const entry = optimizers.get(name);
  const all = entry.options.parse(options ?? {});
  if (decay === 'matrices' && !decaysApart({ name, options: all })) {
    throw new InputError(`decay: expected an optimizer ${entry.isJoint ? apart : decaying}, found ${name}`);
  }
  if (rateFactors.length > 0 && entry.isJoint) {
    throw new InputError(`rateFactors: expected an optimizer that moves each parameter by itself, found ${name}`);
  }
  const factorOf = rateFactorsOf(rateFactors, [...shapes.keys()]);
  const groups = new Map<string, { names: Set<string>; optimizer: Optimizer; rateFactor: number }>();
  for (const [parameter, { length: axes }] of shapes) {
    const isDecayed = decay !== 'matrices' || axes >= 2;
    const rateFactor = factorOf(parameter);
    const key = `${isDecayed} ${rateFactor}`;
    const optimizer = groups.get(key)?.optimizer ?? entry.create(isDecayed ? all : { ...all, weightDecay: 0 });
    const group = groups.get(key) ?? { names: new Set(), optimizer, rateFactor };
    group.names.add(parameter);
    groups.set(key, group);
  }
  return grouped([...groups.values()]);
}

/** The factor of each name. A pattern that fits none is a mistake. */
function rateFactorsOf(rateFactors: readonly string[], names: readonly string[]): (name: string) => number {
  const rules = rateFactors.map((text) => {
    const at = text.lastIndexOf('=');
    const pattern = text.slice(0, at);
    const fits = matchesAny([pattern]);
    if (!names.some(fits)) throw new InputError(`rateFactors: expected parameters that fit ${pattern}, found none`);
    return { fits, factor: Number(text.slice(at + 1)) };
  });
  return (name) => rules.find(({ fits }) => fits(name))?.factor ?? 1;
}
