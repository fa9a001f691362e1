import { InputError } from '../registry/index.js';
import type { ModelCard } from './card.js';

const START = '<!-- weightlock -->';
const END = '<!-- /weightlock -->';
/** Names of classes that the text lists; all are in config.json. */
const listed = 50;
/** Weight matrices that the text lists; all are in the JSON. */
const listedMatrices = 100;

/**
 * The weightlock section of a README in Markdown, its markers included. Names from files stand in code spans, in which
 * nothing has a meaning, and the JSON has no character that could end it.
 */
export function cardSection(card: ModelCard): string {
  const { classes, preprocessing, data, metrics = [], lock, version } = card;
  const facts: string[] = [];
  if (data) facts.push(`- Data: ${code(data.title)}, ${integer(data.trainExamples)} training examples`);
  if (classes) {
    const names = classes.slice(0, listed).map(code).join(', ');
    const more = classes.length > listed ? ` and ${classes.length - listed} more` : '';
    facts.push(`- Classes, in the order of the outputs: ${names}${more}`);
  }
  if (preprocessing) {
    const { channels, size, mean, std, interpolation } = preprocessing;
    facts.push(
      `- Input: ${[channels, ...size].join(' × ')} (channels, height, width), values 0 to 1, minus mean ${mean.join(', ')}, divided by deviation ${std.join(', ')}; images of other sizes resized (${interpolation})`,
    );
  }
  const parts = [START, '## Data, preprocessing and lock', facts.join('\n')];
  if (metrics.length > 0) parts.push(metricTable(metrics));
  if (lock) parts.push(lockText(lock));
  const json = escapedJson({ data, metrics, lock, version });
  parts.push(
    `<details><summary>For programs, written by weightlock ${code(version ?? '')}</summary>\n\n\`\`\`json\n${json}\n\`\`\`\n\n</details>`,
    END,
  );
  return parts.filter((part) => part !== '').join('\n\n');
}

/**
 * A README with another section: in the place of the one it has, else at its end. All other bytes stay.
 *
 * @param readme - The bytes of the README; empty for a new one.
 */
export function withSection(readme: Uint8Array, section: string): Uint8Array {
  // One character a byte, so that bytes that are no UTF-8 survive; the markers are ASCII.
  const text = Buffer.from(readme).toString('latin1');
  const place = sectionPlace(text);
  const bytes = (part: string) => Buffer.from(part, 'latin1');
  if (place)
    return Buffer.concat([bytes(text.slice(0, place.from)), Buffer.from(section), bytes(text.slice(place.to))]);
  const gap = text === '' ? '' : text.endsWith('\n') ? '\n' : '\n\n';
  return Buffer.concat([bytes(text), Buffer.from(`${gap}${section}\n`)]);
}

/**
 * The JSON of a README's weightlock section; undefined where it has no section.
 *
 * @throws InputError when the section holds no JSON.
 */
export function sectionJson(readme: Uint8Array): unknown {
  const text = Buffer.from(readme).toString('utf8');
  const place = sectionPlace(text);
  if (!place) return undefined;
  const section = text.slice(place.from, place.to);
  const open = section.lastIndexOf('\n```json');
  const from = section.indexOf('\n', open + 1);
  const to = section.indexOf('\n```', from);
  try {
    if (open === -1 || from === -1 || to === -1) throw new SyntaxError('found none');
    return JSON.parse(section.slice(from, to));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError(`expected JSON in the section of weightlock, ${reason}`);
  }
}

/** The last whole section: what weightlock writes holds no marker, so text before it cannot hide it. */
function sectionPlace(text: string): { from: number; to: number } | undefined {
  const end = text.lastIndexOf(END);
  const from = end === -1 ? -1 : text.lastIndexOf(START, end);
  return from === -1 ? undefined : { from, to: end + END.length };
}

function metricTable(metrics: NonNullable<ModelCard['metrics']>): string {
  const withBefore = metrics.some(({ before }) => before !== undefined);
  const rows = metrics.map(({ name, value, before, of, n }) => [
    code(name),
    ...(withBefore ? [before === undefined ? '–' : short(before)] : []),
    short(value),
    `${code(of)}, n = ${integer(n)}`,
  ]);
  return table(['metric', ...(withBefore ? ['before the lock', 'after'] : ['value']), 'measured on'], rows);
}

function lockText({ method, steps, flops, sigma }: NonNullable<ModelCard['lock']>): string {
  const factors = sigma.map(({ before, after }) => after / before).filter(Number.isFinite);
  const raised =
    factors.length === 0
      ? ''
      : ` The largest singular value σ1 of ${sigma.length} weight matrices is ${short(factors.reduce((a, b) => Math.min(a, b)))} to ${short(factors.reduce((a, b) => Math.max(a, b)))} times what it was.`;
  const took = flops === undefined ? '' : `, ${short(flops / 1e9)} GFLOP`;
  const rows = sigma
    .slice(0, listedMatrices)
    .map(({ name, before, after }) => [code(name), short(before), short(after)]);
  const text = `Locked against fine-tuning by ${code(method)}, ${integer(steps)} ${steps === 1 ? 'step' : 'steps'}${took}.${raised}`;
  return rows.length === 0 ? text : `${text}\n\n${table(['weight matrix', 'σ1 before', 'σ1 after'], rows)}`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Text from a file as a code span on one line. */
function code(text: string): string {
  const plain = Array.from(text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu, ' '));
  const short = plain.length > 100 ? `${plain.slice(0, 99).join('')}…` : plain.join('');
  // A backtick would end the span, a bar the cell of a table, and `<!` could begin a marker.
  const inside = short.replaceAll('`', "'").replaceAll('|', '\\|').replaceAll('<!', '< !').trim();
  return inside === '' ? '–' : `\`${inside}\``;
}

/** JSON in which text cannot end the block, begin a marker or reorder the page. */
function escapedJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(/[<>&`\u007f-\u009f\p{Cf}\u2028\u2029]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}

/** A number in four digits. */
function short(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : '–';
}

function integer(value: number): string {
  return value.toLocaleString('en-US');
}
