import type { z } from 'zod';
import { InputError } from './errors.js';
import { suggest } from './suggest.js';

/**
 * Checks the options of a registry entry against its schema and fills in the defaults.
 *
 * @param schema - A strict object, so that an unknown key is an error.
 * @param options - From a file, from flags or from code; parsing what was parsed before changes nothing.
 * @param subject - Whose options they are; error messages start with it.
 * @throws InputError that names each wrong key, with a suggestion for an unknown one.
 */
export function parseOptions<Schema extends z.ZodObject>(
  schema: Schema,
  options: unknown,
  subject: string,
): z.output<Schema> {
  const result = schema.safeParse(options);
  if (result.success) return result.data;
  const known = Object.keys(schema.shape);
  const complaints = result.error.issues.flatMap((issue) => {
    if (issue.code !== 'unrecognized_keys' || issue.path.length > 0) {
      return `${[subject, ...issue.path].join('.')}: ${issue.message}`;
    }
    return issue.keys.map((key) => {
      const near = suggest(key, known);
      const expected = known.length === 0 ? 'expected no options' : `expected only ${known.join(', ')}`;
      return `${subject}: ${expected}, found ${JSON.stringify(key)}${near === undefined ? '' : `; did you mean ${near}?`}`;
    });
  });
  throw new InputError(complaints.join('; '));
}
