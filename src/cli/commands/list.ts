import { z } from 'zod';
import { type Attack, attacks, trainedParts, transforms } from '../../attacks/index.js';
import { type LockMethod, lockMethods } from '../../locks/index.js';
import { type Configurable, Registry } from '../../registry/index.js';
import { courseSchedules, optimizers } from '../../training/index.js';
import { defineCommand } from '../command.js';
import { flagName, readOptions } from '../option-spec.js';
import { helpOf } from '../options.js';

/** An entry and what there is to say of it beside its options. */
interface Listed extends Configurable {
  readonly description: string;
  readonly remark?: string;
  /** Whether its options stand under no name: they are flags of their own. */
  readonly isFlat?: boolean;
}

const noOptions = z.strictObject({});

/** What can be listed. A further registry is one line. */
const lists = new Registry('list', [
  {
    name: 'optimizers',
    entries: (): Listed[] => optimizers.entries().map((entry) => ({ ...entry, remark: searchRemark(entry.search) })),
  },
  { name: 'schedules', entries: (): Listed[] => courseSchedules },
  {
    name: 'attacks',
    entries: (): Listed[] =>
      attacks.entries().map((entry) => ({ ...describe(entry), options: noOptions, remark: attackRemark(entry) })),
  },
  {
    name: 'locks',
    entries: (): Listed[] => lockMethods.entries().map((entry) => ({ ...entry, remark: lockRemark(entry) })),
  },
  {
    name: 'transforms',
    entries: (): Listed[] =>
      transforms.entries().map(({ name, description, options, offer, knows }) => ({
        name,
        description,
        options: offer ? z.strictObject({ [name]: offer.schema }) : (options as z.ZodObject),
        isFlat: offer !== undefined,
        ...(knows !== undefined && { remark: `Who does it knows ${knows}` }),
      })),
  },
  {
    name: 'parts',
    entries: (): Listed[] =>
      trainedParts.entries().map(({ name, description, options }) => ({
        name,
        description,
        options: options as z.ZodObject,
      })),
  },
]);

const what = lists.names().join(', ');
const describe = ({ name, description }: Attack) => ({ name, description });

/** What kind of lock a method makes, and what undoes it. */
function lockRemark({ class: kind, undoneBy }: LockMethod): string {
  return `Class: ${kind}; undone by ${undoneBy}`;
}

/** What an attack is made of, and when it is tried. */
function attackRemark({ transforms: steps, trained, suite = 'quick', adaptive }: Attack): string {
  const first = steps.length === 0 ? 'the weights as they are' : steps.map(({ name }) => name).join(', then ');
  const known = adaptive ? '; for attackers who know that there is a lock' : '';
  return `Transforms: ${first}; trained part: ${trained.name}; suite ${suite}${known}`;
}

/** `weightlock list`: what can be chosen, and the options of each. */
export const list = defineCommand({
  name: 'list',
  summary: `List what an option can choose, and the options of each: ${what}.`,
  arguments: [{ name: 'what', description: `One of ${what}.`, required: true }],
  schema: z.strictObject({}),
  examples: ['weightlock list optimizers', 'weightlock list attacks', 'weightlock list schedules --json'],
  run: async ({ arguments: given, print, result }) => {
    const entries = lists.get(given.what).entries();
    const keyOf = (name: string, isFlat: boolean | undefined, key: string) => (isFlat ? key : `${name}.${key}`);
    const found = entries.map(({ name, description, remark, options, isFlat }) => ({
      name,
      description,
      ...(remark !== undefined && { remark }),
      options: readOptions(options).specs.map((spec) => ({
        flag: flagName(keyOf(name, isFlat, spec.key)),
        key: keyOf(name, isFlat, spec.key),
        description: spec.description,
        expected: spec.expectation,
        default: spec.defaultValue,
        help: helpOf(spec),
        optionOf: spec.optionOf,
      })),
    }));
    for (const { name, description, remark, options } of found) {
      print(`${name}: ${description}${remark === undefined ? '' : `. ${remark}`}`);
      // What a choice can be has options of its own, dozens of them; here the choice is enough.
      for (const { flag, help, optionOf } of options) if (optionOf === undefined) print(`  ${flag}: ${help}`);
      const choices = [...new Set(options.flatMap(({ optionOf }) => optionOf ?? []))];
      for (const choice of choices)
        print(`  and the options of each ${choice}: see --json, or weightlock list ${choice}s`);
      print('');
    }
    result(
      found.map(({ options, ...entry }) => ({
        ...entry,
        options: options.map(({ help: _, optionOf: __, ...rest }) => rest),
      })),
    );
    return 0;
  },
});

/** What an attack does with an optimizer unless told otherwise. */
function searchRemark({ decades, options = {} }: { decades: readonly number[]; options?: object }): string {
  const defaults = Object.entries(options).map(([key, value]) => `${key} ${value}`);
  const own = defaults.length > 0 ? `, with ${defaults.join(', ')}` : '';
  return `Attacks try learning rates ${decades.map((decade) => `1e${decade}`).join(', ')}${own}`;
}
