import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const pages = [
  ...readdirSync('.').filter((name) => name.endsWith('.md')),
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md') && !path.startsWith('api'))
    .map((path) => join('docs', path)),
];

/** A page without what stands in code. */
function prose(path: string): string {
  return readFileSync(path, 'utf8')
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/`[^`\n]+`/g, (code) => 'x'.repeat(code.length));
}

/** Names that GitHub gives to the headings of a page. */
function anchors(path: string): string[] {
  const headings = readFileSync(path, 'utf8').matchAll(/^#+ (.*)$/gm);
  return Array.from(headings, ([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replace(/ /g, '-'),
  );
}

describe.each(pages)('%s', (path) => {
  it('links to files and headings that exist', () => {
    const broken = [...prose(path).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target]) => {
      if (/^(https?|mailto):/.test(target)) return [];
      const [file, anchor] = target.split('#');
      const page = file === '' ? path : join(dirname(path), decodeURI(file));
      if (!existsSync(page) || relative('.', page).startsWith('..')) return [target];
      return anchor !== undefined && !anchors(page).includes(anchor) ? [target] : [];
    });
    expect(broken).toEqual([]);
  });

  it('has no backslash before what means nothing there', () => {
    // Within a line only these mean something; a dot or > does at most at its start.
    const needless = prose(path).match(/^.+\\[^\w\s`|[\]*_~\\].*$/gm);
    expect(needless ?? []).toEqual([]);
  });
});

it('the index of the decisions names every page, and every page that it names exists', () => {
  const listed = [...readFileSync('docs/decisions/README.md', 'utf8').matchAll(/\]\(([\w-]+\.md)\)/g)].map(
    ([, name]) => name,
  );
  const there = readdirSync('docs/decisions').filter((name) => name !== 'README.md');
  expect(listed.sort()).toEqual(there.sort());
});
