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
 * @throws InputError when it is of an unknown kind or names a token that there is none.
 */
export function readTemplate(config: unknown, idOf: (token: string) => number | undefined): Template {
  const post = config as PostProcessor | null;
  if (post === null || post === undefined) return BARE;
  switch (post.type) {
    case 'ByteLevel':
      return BARE;
    case 'Sequence': {
      const read = (post.processors ?? []).map((each) => readTemplate(each, idOf)).filter((each) => each !== BARE);
      if (read.length > 1) throw new InputError('post_processor: expected one template in a sequence, found several');
      return read[0] ?? BARE;
    }
    case 'BertProcessing':
    case 'RobertaProcessing': {
      const isBert = post.type === 'BertProcessing';
      const [cls, sep] = [post.cls, post.sep].map((token): TemplatePart => {
        const [name, id] = Array.isArray(token) ? token : [];
        return { kind: 'special', ids: [requireId(id, String(name))], type: 0 };
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
        return listed.map((id) => requireId(id, name));
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
  readonly SpecialToken?: { readonly id?: string; readonly type_id?: number };
  readonly Sequence?: { readonly id?: string; readonly type_id?: number };
}

function readParts(items: unknown, ids: (name: string) => number[]): TemplatePart[] {
  if (!Array.isArray(items)) throw new InputError('post_processor: expected a list of parts, found none');
  return (items as Item[]).map((item) => {
    const { SpecialToken: special, Sequence: sequence } = item ?? {};
    if (special?.id !== undefined) return { kind: 'special', ids: ids(special.id), type: special.type_id ?? 0 };
    if (sequence?.id === 'A') return { kind: 'first', type: sequence.type_id ?? 0 };
    if (sequence?.id === 'B') return { kind: 'second', type: sequence.type_id ?? 0 };
    throw new InputError('post_processor: expected special tokens and the sequences A and B, found another part');
  });
}

function requireId(id: unknown, name: string): number {
  if (Number.isInteger(id) && Number(id) >= 0) return Number(id);
  throw new InputError(`post_processor: expected the number of the token ${quote(name)}, found none`);
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
