import type { z } from 'zod';
import type { Named } from './registry.js';

/** A registry's entry with options. */
export interface Configurable extends Named {
  /** Strict schema of its options. */
  readonly options: z.ZodObject;
}

/** The group of options that one entry has. */
export type OptionGroup = z.ZodOptional<z.ZodObject>;

/** Where a group's schema notes that help lists each of its options, instead of one line for the group. */
const listed = 'listedOptions';

/** Where a group's schema notes the key that chooses its entry; in JSON Schema too, so that help can group the flags. */
const noted = 'optionsOf';

/** Where a group's schema notes that {@link withChoices} leaves it alone. */
const unchecked = 'uncheckedOptions';

/**
 * The options of some entries, each entry's under its name, beside a key that chooses one of the entries, or a list of them.
 * {@link withChoices} makes the rest of it.
 *
 * @param key - The key that chooses, such as `optimizer`.
 * @param options - `inFull`: help lists every option, for what a command is about; default one line an entry. `partsOf`: the entries are
 *   parts of what the key chooses, so that whoever reads the options says which of them count.
 */
export function optionsOf(
  key: string,
  entries: Iterable<Configurable>,
  { inFull = false, partsOf = false }: { inFull?: boolean; partsOf?: boolean } = {},
): Record<string, OptionGroup> {
  return Object.fromEntries(
    Array.from(entries, ({ name, options }) => [
      name,
      options
        .optional()
        .meta({ [noted]: key, ...(inFull && { [listed]: true }), ...(partsOf && { [unchecked]: true }) }),
    ]),
  );
}

/**
 * A schema with groups of {@link optionsOf} in which only what is chosen counts: the chosen entries' options are there with
 * their defaults, and those of any other entry are an error that names what is chosen. Groups further in are left to their own
 * schemas. Doing it twice changes nothing.
 *
 * @example withChoices(z.strictObject({ optimizer: z.enum(['sgd', 'adam']), ...optionsOf('optimizer', optimizers.entries()) }))
 */
export function withChoices<Schema extends z.ZodObject>(schema: Schema): Schema {
  const groups = Object.entries(schema.shape).flatMap(([name, field]) => {
    const { [noted]: key, [unchecked]: isPart } = (field as z.ZodType).meta() ?? {};
    return typeof key === 'string' && !isPart ? [{ name, key, group: field as OptionGroup }] : [];
  });
  if (groups.length === 0) return schema;
  const chosen = (value: Readonly<Record<string, unknown>>, key: string) => [value[key]].flat();
  return schema
    .superRefine((value, context) => {
      for (const { name, key } of groups) {
        const names = chosen(value, key);
        if (value[name] === undefined || names.includes(name)) continue;
        const message = `expected options of ${names.join(', ')} alone, the chosen ${key}`;
        context.addIssue({ code: 'custom', path: [name], message });
      }
    })
    .overwrite((value) => {
      const missing = groups.filter(({ name, key }) => value[name] === undefined && chosen(value, key).includes(name));
      if (missing.length === 0) return value;
      return { ...value, ...Object.fromEntries(missing.map(({ name, group }) => [name, group.unwrap().parse({})])) };
    });
}

/** The parsed options of the chosen entry `name`, from what {@link withChoices} gave. */
export function optionsUnder(options: object, name: string): Readonly<Record<string, unknown>> | undefined {
  // Which groups there are depends on the registry, so no type knows them.
  return (options as Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>)[name];
}
