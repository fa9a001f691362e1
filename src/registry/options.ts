import type { z } from 'zod';
import { OptionError } from './errors.js';
import { inWords } from './issues.js';

/**
 * Checks the options of a registry entry against its schema and fills in the defaults.
 *
 * @param schema - A strict object, so that an unknown key is an error.
 * @param options - From a file, from flags or from code; parsing what was parsed before changes nothing.
 * @param subject - Whose options they are; error messages start with it.
 * @throws OptionError that names each wrong key, with a suggestion for an unknown one.
 */
export function parseOptions<Schema extends z.ZodObject>(
  schema: Schema,
  options: unknown,
  subject: string,
): z.output<Schema> {
  const result = schema.safeParse(options, { error: inWords });
  if (result.success) return result.data;
  const [first, ...others] = result.error.issues.map(({ path, message }) => ({
    key: [subject, ...path].map(String).join('.'),
    message,
  }));
  const complaints = [first.message, ...others.map(({ key, message }) => `${key}: ${message}`)];
  throw new OptionError(first.key, complaints.join('; '));
}
