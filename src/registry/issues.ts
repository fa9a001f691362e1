import type { z } from 'zod';
import { suggest } from './suggest.js';
import { quote, shown } from './text.js';

/** As a schema finds it, or as an error that was thrown holds it. */
type Issue = z.core.$ZodRawIssue | z.core.$ZodIssue;

/** What the types of values are called where a value of another type came. */
const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'an object',
  record: 'an object',
  undefined: 'nothing',
};

/**
 * What a schema expected and what came, in words: of an issue that has no message of its own.
 *
 * @example schema.safeParse(value, { error: inWords })
 */
export function inWords(issue: Issue): string | undefined {
  if (issue.code === 'unrecognized_keys') return unknownKey(issue);
  if (issue.code === 'invalid_key' || issue.code === 'invalid_element') return issue.issues[0]?.message;
  // Of alternatives with keys of their own that which is wrong in least says most.
  const [nearest] =
    issue.code === 'invalid_union' ? issue.errors.toSorted((a, b) => a.length - b.length).map(([first]) => first) : [];
  if (nearest && nearest.path.length > 0) return `${nearest.path.join('.')}: ${nearest.message}`;
  const expected = expectation(issue);
  if (expected === undefined) return undefined;
  // Issues of an error that was thrown have their value no more.
  return `expected ${expected}${'input' in issue ? `, got ${shown(came(issue))}` : ''}`;
}

/** The value in question: of alternatives that a key tells apart that key's. */
function came(issue: Issue): unknown {
  const key = issue.code === 'invalid_union' ? issue.discriminator : undefined;
  return key === undefined ? issue.input : Reflect.get(Object(issue.input), key);
}

function expectation(issue: Issue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return kinds[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return `${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return limited(issue, issue.minimum, issue.inclusive ? 'at least' : 'above');
    case 'too_big':
      return limited(issue, issue.maximum, issue.inclusive ? 'at most' : 'below');
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return issue.format === 'regex' ? `text matching ${issue.pattern}` : `text that is a ${issue.format}`;
    case 'invalid_union': {
      if ('options' in issue && Array.isArray(issue.options)) return `one of ${issue.options.map(String).join(', ')}`;
      const words = issue.errors.flatMap(([first]) => (first ? (expectation(first) ?? []) : []));
      return [...new Set(words)].join(' or ');
    }
    case 'custom':
      return 'another value';
    default:
      return undefined;
  }
}

/** `a number above 0`, `a list of at least 1 item`. */
function limited({ origin, exact }: { origin: string; exact?: boolean }, limit: number | bigint, word: string): string {
  if (origin === 'number' || origin === 'int') return `${kinds[origin]} ${word} ${limit}`;
  const unit = origin === 'string' ? 'character' : 'item';
  const count = `${limit} ${unit}${limit === 1 ? '' : 's'}`;
  return `${origin === 'string' ? 'text' : 'a list'} of ${exact ? '' : `${word} `}${count}`;
}

/** The keys that there are; known is which only where the schema is at hand. */
function unknownKey({ keys: [key = ''], ...issue }: Extract<Issue, { code: 'unrecognized_keys' }>): string {
  const { inst } = issue as { inst?: z.core.$ZodType };
  const { shape } = (inst?._zod.def ?? {}) as { shape?: object };
  if (!shape) return `unknown key ${quote(key)}`;
  const known = Object.keys(shape);
  const near = suggest(key, known);
  // The key first: a list of all may be long, and is cut where a card says it.
  const expected = known.length === 0 ? 'expected no options' : `expected only ${known.join(', ')}`;
  return `unknown key ${quote(key)}, ${expected}${near === undefined ? '' : `; did you mean ${near}?`}`;
}
