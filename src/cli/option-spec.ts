import { z } from 'zod';

/** The strict object schema of a command's options. */
export type OptionsSchema = z.ZodObject;

/** The part of JSON Schema that zod writes for the types a flag can carry. */
interface LeafSchema {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: LeafSchema[];
  items?: LeafSchema | false;
  prefixItems?: LeafSchema[];
  optionsOf?: string;
  fileOnly?: boolean;
  listedOptions?: boolean;
  properties?: Record<string, LeafSchema>;
  required?: string[];
  additionalProperties?: unknown;
  default?: unknown;
  description?: string;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
}

/** One option: a flag, a YAML key and a line of help, all read from the schema. */
export interface OptionSpec {
  /** Key in the YAML file, groups joined by dots: `optimizer.learningRate`. */
  key: string;
  /** Long flag: `--optimizer.learning-rate`. */
  flag: string;
  /** `boolean` has `--x` and `--no-x`; `list` takes repeated or comma-separated values; `file`: no flag, a key of the file alone. */
  kind: 'boolean' | 'list' | 'value' | 'file';
  /** Types a single value, or one element of a list, may have. */
  types: ReadonlySet<string>;
  /** The values allowed, when these are few and known. */
  choices: readonly unknown[] | undefined;
  /** What is allowed, in words: `a number above 0`. */
  expectation: string;
  /** The schema's description, or an empty text. */
  description: string;
  /** Value without flag and file; undefined when there is none. */
  defaultValue: unknown;
  /** Key of the option that chooses what this is an option of, where it is one of a registry's entry: `optimizer`. */
  optionOf: string | undefined;
}

/** A group with the options of another. */
export interface RepeatedGroup {
  /** Key of the other group. */
  readonly like: string;
  /** The schema's description, or an empty text. */
  readonly description: string;
}

/** All options of a schema, and the values its groups begin with. */
export interface OptionSet {
  /** The options in the order of the schema. */
  specs: readonly OptionSpec[];
  /** Keys of the groups (nested objects). */
  groups: readonly string[];
  /** Groups whose options are those of a group before them, by their keys. */
  repeated: ReadonlyMap<string, RepeatedGroup>;
  /** Values below the options: groups that must exist and the defaults written on groups. */
  baseline: Readonly<Record<string, unknown>>;
}

/**
 * Reads options from a strict object schema; nested strict objects become groups.
 *
 * @throws TypeError for a schema that flags cannot express (a mistake in the command, not of the user).
 */
export function readOptions(schema: OptionsSchema): OptionSet {
  const root = z.toJSONSchema(schema, { io: 'input', reused: 'inline' }) as LeafSchema;
  const specs: OptionSpec[] = [];
  const groups: string[] = [];
  const repeated = new Map<string, RepeatedGroup>();
  const baseline: Record<string, unknown> = {};
  walk(root, '', baseline, { specs, groups, repeated, forms: new Map() });
  const negative = specs.find(({ flag }) => flag.startsWith('--no-'));
  if (negative) throw new TypeError(`${negative.key}: ${negative.flag} would negate a flag; name the key otherwise`);
  const twice = specs.find(({ flag }, index) => specs.findIndex((other) => other.flag === flag) !== index);
  if (twice) throw new TypeError(`${twice.flag}: two options share this flag`);
  return { specs, groups, repeated, baseline };
}

/** Notes the first group of each form, and the groups that repeat one: what is chosen is told apart anyway. */
function noteForm(key: string, { properties, description = '' }: LeafSchema, { forms, repeated }: FoundOptions): void {
  const form = JSON.stringify(properties);
  const like = forms.get(form);
  if (like === undefined) forms.set(form, key);
  else repeated.set(key, { like, description });
}

/** What was found of a schema so far. */
interface FoundOptions {
  readonly specs: OptionSpec[];
  readonly groups: string[];
  readonly repeated: Map<string, RepeatedGroup>;
  /** The first group of each form. */
  readonly forms: Map<string, string>;
}

function walk(
  schema: LeafSchema,
  prefix: string,
  baseline: Record<string, unknown>,
  found: FoundOptions,
  optionOf?: string,
): void {
  if (schema.additionalProperties !== false) {
    throw new TypeError(`${prefix || 'options'}: expected z.strictObject, so that unknown keys are errors`);
  }
  for (const [name, inner] of Object.entries(schema.properties ?? {})) {
    const key = prefix ? `${prefix}.${name}` : name;
    if (inner.fileOnly) {
      const { description = '' } = inner;
      const none = { types: new Set<string>(), choices: undefined, defaultValue: undefined, optionOf };
      found.specs.push({ key, flag: flagName(key), kind: 'file', expectation: 'a list', description, ...none });
    } else if (inner.properties) {
      found.groups.push(key);
      if (inner.optionsOf === undefined && optionOf === undefined) noteForm(key, inner, found);
      const given = isRecord(inner.default) ? structuredClone(inner.default) : {};
      const exists = inner.default !== undefined || schema.required?.includes(name);
      if (exists) baseline[name] = given;
      const isSummed = inner.optionsOf !== undefined && inner.listedOptions !== true;
      const chooser = isSummed ? [prefix, inner.optionsOf].filter((part) => part).join('.') : undefined;
      walk(inner, key, exists ? given : {}, found, chooser ?? optionOf);
    } else {
      found.specs.push({ ...describe(key, inner, baseline[name]), optionOf });
    }
  }
}

function describe(key: string, schema: LeafSchema, groupDefault: unknown): Omit<OptionSpec, 'optionOf'> {
  const types = typesOf(schema);
  const kind = types.has('array') ? 'list' : types.size === 1 && types.has('boolean') ? 'boolean' : 'value';
  const element = kind === 'list' ? elementOf(schema) : schema;
  const elementTypes = kind === 'list' ? typesOf(element) : types;
  const scalar = [...elementTypes].every((type) => ['string', 'number', 'integer', 'boolean', 'null'].includes(type));
  if (!scalar || elementTypes.size === 0) throw new TypeError(`${key}: expected a number, text, boolean, enum or list`);
  return {
    key,
    flag: flagName(key),
    kind,
    types: elementTypes,
    choices: element.enum ?? (element.const === undefined ? undefined : [element.const]),
    expectation: expectationOf(schema),
    description: schema.description ?? '',
    defaultValue: groupDefault ?? schema.default,
  };
}

/** What the elements of a list are; those of a list of a fixed length are alike. */
function elementOf({ items, prefixItems = [] }: LeafSchema): LeafSchema {
  return items || (prefixItems[0] ?? {});
}

function typesOf(schema: LeafSchema): Set<string> {
  if (schema.anyOf) return new Set(schema.anyOf.flatMap((each) => [...typesOf(each)]));
  if (schema.type === undefined) return new Set();
  return new Set(Array.isArray(schema.type) ? schema.type : [schema.type]);
}

/** Says in words what a JSON schema allows. */
function expectationOf(schema: LeafSchema): string {
  if (schema.anyOf) return schema.anyOf.map(expectationOf).join(' or ');
  if (schema.enum) return `one of ${schema.enum.map(String).join(', ')}`;
  if (schema.const !== undefined) return String(schema.const);
  if (Array.isArray(schema.type)) return schema.type.map((type) => expectationOf({ ...schema, type })).join(' or ');
  switch (schema.type) {
    case 'boolean':
      return 'true or false';
    case 'null':
      return 'null';
    case 'array': {
      const count = range('items', schema.minItems, schema.maxItems);
      const element = elementOf(schema);
      return `a list${count}${element.type || element.anyOf ? ` of: ${expectationOf(element)}` : ''}`;
    }
    case 'string': {
      const length = range('characters', schema.minLength, schema.maxLength);
      return `text${length}${schema.pattern ? ` matching ${schema.pattern}` : ''}`;
    }
    default:
      return `${schema.type === 'integer' ? 'a whole number' : 'a number'}${numberRange(schema)}`;
  }
}

function range(unit: string, least?: number, most?: number): string {
  if (least !== undefined && least === most) return ` of ${least} ${unit}`;
  if (least !== undefined && most !== undefined) return ` of ${least} to ${most} ${unit}`;
  if (least !== undefined) return ` of at least ${least} ${unit}`;
  return most === undefined ? '' : ` of at most ${most} ${unit}`;
}

function numberRange(schema: LeafSchema): string {
  // z.int() states the range of exact integers, which tells a reader nothing.
  const least = schema.minimum === Number.MIN_SAFE_INTEGER ? undefined : schema.minimum;
  const most = schema.maximum === Number.MAX_SAFE_INTEGER ? undefined : schema.maximum;
  const step = schema.multipleOf === undefined ? '' : `, a multiple of ${schema.multipleOf}`;
  if (least !== undefined && most !== undefined) return ` from ${least} to ${most}${step}`;
  const parts = [
    least === undefined ? '' : `at least ${least}`,
    schema.exclusiveMinimum === undefined ? '' : `above ${schema.exclusiveMinimum}`,
    most === undefined ? '' : `at most ${most}`,
    schema.exclusiveMaximum === undefined ? '' : `below ${schema.exclusiveMaximum}`,
  ].filter((part) => part);
  return `${parts.length > 0 ? ` ${parts.join(' and ')}` : ''}${step}`;
}

/** The flag of a key: `--optimizer.learning-rate`. */
export function flagName(key: string): string {
  return `--${key.split('.').map(kebab).join('.')}`;
}

function kebab(name: string): string {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replaceAll(/([A-Z])([A-Z][a-z])/g, '$1-$2')
    .toLowerCase();
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
