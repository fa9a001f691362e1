import { z } from 'zod';
import { InputError, parseOptions, type Registry } from '../registry/index.js';
import { optimizers } from '../training/index.js';
import { type Attack, attacks, isAdaptive } from './registry.js';
import { type TrainedPart, trainedParts } from './trained/index.js';
import { type Transform, transforms } from './transforms/index.js';

const part = z.union(
  [
    z.string(),
    z.strictObject({
      name: z.string().describe('name of the part'),
      options: z.record(z.string(), z.unknown()).default({}).describe('its options; what is left out is as by default'),
    }),
  ],
  { error: 'expected the name of a part, or the keys name and options' },
);

/** A part of a composition, or its name alone. */
type Part = z.output<typeof part>;

const named = (given: Part) => (typeof given === 'string' ? { name: given, options: {} } : given);

/** An attack that somebody writes, of transforms and a trained part that there are. */
export const composition = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,63}$/, { error: 'expected lower-case letters, digits and dashes, at most 64' })
      .describe('its name in tables'),
    description: z.string().min(1).max(1000).optional().describe('one line on it; default the names of its parts'),
    transforms: z
      .array(part)
      .max(16)
      .default([])
      .describe('what is done to the released weights first, in this order (weightlock list transforms)'),
    trained: part.default('all').describe('what is trained then (weightlock list parts)'),
    optimizers: z
      .array(z.string())
      .min(1)
      .optional()
      .describe('which of the optimizers that are tried it is tried with; default all'),
  })
  .superRefine((value, context) => {
    const refuse = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
    if (attacks.names().includes(value.name)) {
      refuse(['name'], `expected a new name, ${value.name} is an attack that there is`);
    }
    for (const [index, each] of (value.optimizers ?? []).entries()) {
      const wrong = complaintOf(() => optimizers.get(each));
      if (wrong !== undefined) refuse(['optimizers', index], wrong);
    }
    const steps = value.transforms.map(named);
    for (const [index, { name }] of steps.entries()) {
      const wrong = complaint(transforms, value.transforms[index]);
      if (wrong !== undefined) refuse(['transforms', index], wrong);
      else if (steps.findIndex((step) => step.name === name) < index) {
        refuse(['transforms', index], `expected each transform once, found ${name} again`);
      } else if (index > 0 && transforms.get(name).outputsAlone) {
        refuse(['transforms', index], `expected ${name} first: it begins with fresh weights`);
      } else if (index > 0 && transforms.get(name).rebuilds) {
        refuse(['transforms', index], `expected ${name} first: it changes the architecture`);
      }
    }
    const wrong = complaint(trainedParts, value.trained);
    const { name } = named(value.trained);
    if (wrong !== undefined) refuse(['trained'], wrong);
    else if (trainedParts.get(name).outputsAlone && steps.length > 0) {
      refuse(['trained'], `expected no transforms before ${name}, which uses the released model's outputs alone`);
    }
  });

/** Several of them, each under a name of its own. */
export const compositions = z
  .array(composition)
  .min(1)
  .max(1000)
  .refine((found) => new Set(found.map(({ name }) => name)).size === found.length, {
    error: 'expected each name once',
  });

/** A parsed {@link composition}. */
export type DefinedComposition = z.output<typeof composition>;

/** What is wrong with a part: its name, or its options. */
function complaint(registry: Registry<Transform> | Registry<TrainedPart>, given: Part): string | undefined {
  const { name, options } = named(given);
  return complaintOf(() => parseOptions(registry.get(name).options as z.ZodObject, options, name));
}

/** What an act complains of. */
function complaintOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
}

/** Whether it asks nothing of a released model, as the registry says of its parts: then random weights are tried as well. */
function needsNoRelease({ transforms: steps, trained }: Pick<Attack, 'transforms' | 'trained'>): boolean {
  const alone = attacks.entries().filter((entry) => entry.trained === trained && entry.transforms.length === 0);
  return (
    steps.every(({ alsoOnRandom = false }) => alsoOnRandom) &&
    alone.some(({ plain = false, alsoFromRandom = plain }) => alsoFromRandom)
  );
}

/** The attack that a composition is. */
export function definedAttack(given: DefinedComposition): Attack {
  const { name, description, optimizers: chosen } = given;
  const steps = given.transforms.map(named);
  const trained = named(given.trained);
  const parts = { transforms: steps.map((step) => transforms.get(step.name)), trained: trainedParts.get(trained.name) };
  return {
    name,
    description: description ?? [...parts.transforms, parts.trained].map((each) => each.description).join(', then '),
    ...parts,
    adaptive: isAdaptive(parts),
    alsoFromRandom: needsNoRelease(parts),
    transformOptions: Object.fromEntries(steps.map((step) => [step.name, step.options])),
    trainedOptions: trained.options,
    ...(chosen && { optimizers: chosen }),
    suite: 'none',
  };
}
