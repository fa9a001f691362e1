import type { z } from 'zod';

/** The schema of some options with other defaults. */
export function withDefaults(schema: z.ZodObject, defaults: Readonly<Record<string, unknown>> = {}): z.ZodObject {
  const shape = Object.entries(defaults).map(([key, value]) => {
    const field = schema.shape[key] as z.ZodDefault;
    const inner = field.unwrap() as z.ZodType;
    return [key, inner.default(value).describe(String(field.description))];
  });
  return shape.length === 0 ? schema : (schema.safeExtend(Object.fromEntries(shape)) as z.ZodObject);
}

/** Options of entries of a registry that are not their own defaults, by the name of the entry. */
export type OtherDefaults = Readonly<Record<string, Readonly<Record<string, unknown>>>>;
