import { InputError, quote } from '../registry/index.js';

/** A part of what a text, or a pair of texts, becomes. */
export type TemplatePart =
  | { readonly kind: 'special'; readonly ids: readonly number[]; readonly type: number }
  | { readonly kind: 'first' | 'second'; readonly type: number };

/** Where special tokens stand around one text and around two, and which type each token has. */
export interface Template {
  /** For one text. */
  readonly single: readonly TemplatePart[];
  /** For two. */
  readonly pair: readonly TemplatePart[];
}

const BARE: Template = {
  single: [{ kind: 'first', type: 0 }],
  pair: [
    { kind: 'first', type: 0 },
    { kind: 'second', type: 1 },
  ],
};

/**
 * Reads the `post_processor` of a `tokenizer.json`. Ours, not the library's, for three reasons: texts are cut before special
 * tokens are added, an empty second text is still a pair, and RoBERTa's second text has type 0.
 *
 * @param idOf - The number of a token; undefined where there is none.
 * @param size - One more than the highest number of a token.
 * @throws InputError when it is of an unknown kind or names a token or a type that there is none.
 */
export function readTemplate(config: unknown, idOf: (token: string) => number | undefined, size: number): Template {
  const post = config as PostProcessor | null;
  if (post === null || post === undefined) return BARE;
  switch (post.type) {
    case 'ByteLevel':
      return BARE;
    case 'Sequence': {
      const read = (post.processors ?? [])
        .map((each) => readTemplate(each, idOf, size))
        .filter((each) => each !== BARE);
      if (read.length > 1) throw new InputError('post_processor: expected one template in a sequence, found several');
      return read[0] ?? BARE;
    }
    case 'BertProcessing':
    case 'RobertaProcessing': {
      const isBert = post.type === 'BertProcessing';
      const [cls, sep] = [post.cls, post.sep].map((token): TemplatePart => {
        const [name, id] = Array.isArray(token) ? token : [];
        return { kind: 'special', ids: [requireId(id, String(name), size)], type: 0 };
      });
      const [first, second]: TemplatePart[] = [
        { kind: 'first', type: 0 },
        { kind: 'second', type: isBert ? 1 : 0 },
      ];
      const single = [cls, first, sep];
      return { single, pair: [...single, ...(isBert ? [] : [sep]), second, { ...sep, type: isBert ? 1 : 0 }] };
    }
    case 'TemplateProcessing': {
      const ids = (name: string) => {
        const listed = post.special_tokens?.[name]?.ids ?? [idOf(name)];
        return listed.map((id) => requireId(id, name, size));
      };
      return { single: readParts(post.single, ids), pair: readParts(post.pair, ids) };
    }
    default:
      throw new InputError(`post_processor: expected a known type, found ${quote(String(post.type))}`);
  }
}

interface PostProcessor {
  readonly type?: string;
  readonly processors?: readonly unknown[];
  readonly cls?: unknown;
  readonly sep?: unknown;
  readonly single?: unknown;
  readonly pair?: unknown;
  readonly special_tokens?: Readonly<Record<string, { readonly ids?: readonly number[] }>>;
}

interface Item {
  readonly SpecialToken?: { readonly id?: string; readonly type_id?: unknown };
  readonly Sequence?: { readonly id?: string; readonly type_id?: unknown };
}

function readParts(items: unknown, ids: (name: string) => number[]): TemplatePart[] {
  if (!Array.isArray(items)) throw new InputError('post_processor: expected a list of parts, found none');
  return (items as Item[]).map((item) => {
    const { SpecialToken: special, Sequence: sequence } = item ?? {};
    if (special?.id !== undefined) return { kind: 'special', ids: ids(special.id), type: typeOf(special) };
    if (sequence?.id === 'A') return { kind: 'first', type: typeOf(sequence) };
    if (sequence?.id === 'B') return { kind: 'second', type: typeOf(sequence) };
    throw new InputError('post_processor: expected special tokens and the sequences A and B, found another part');
  });
}

/** The largest type of a token: models know two, XLNet five. */
const MAX_TYPE = 255;

function typeOf({ type_id: type = 0 }: { readonly type_id?: unknown }): number {
  if (typeof type === 'number' && Number.isInteger(type) && type >= 0 && type <= MAX_TYPE) return type;
  throw new InputError(`post_processor: expected a type_id from 0 to ${MAX_TYPE}, found ${quote(String(type))}`);
}

function requireId(id: unknown, name: string, size: number): number {
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < size) return id;
  const found = id === undefined ? 'none' : quote(String(id));
  throw new InputError(
    `post_processor: expected the number of the token ${quote(name)}, below ${size}, found ${found}`,
  );
}

/**
 * How many tokens of two texts stay within a length, as transformers' `longest_first`: the longer one is cut first.
 *
 * @param room - Tokens that both may have together.
 */
export function longestFirst(first: number, second: number, room: number): [number, number] {
  if (first + second <= room) return [first, second];
  let [short, long] = first <= second ? [first, second] : [second, first];
  long = short > room ? short : Math.max(short, room - short);
  if (short + long > room) {
    short = Math.floor(room / 2);
    long = short + (room % 2);
  }
  return first <= second ? [short, long] : [long, short];
}
