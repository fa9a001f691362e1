import { join } from 'node:path';
import { requireWritable, resolveInside, writeFileAtomic } from '../formats/index.js';
import { pageStart, type Report, renderPage } from '../report/index.js';
import { requireOwnFile } from './output-files.js';

/** Where a page is written. */
export interface PagePlace {
  /** The folder. */
  readonly folder: string;
  /** The file's name without its ending; it may come from a run folder, which may be anyone's. */
  readonly name: string;
}

/** Checks, before any work, that a page can be written and overwrites no other file. */
export async function requirePage({ folder, name }: PagePlace): Promise<void> {
  await requireWritable(folder, 'folder');
  await requireOwnFile(pathOf({ folder, name }), {
    what: 'a page of weightlock',
    // Pages of reproductions before version 0.3 began with their title.
    isOwn: (head) => head.startsWith(pageStart) || /^# [^\n]+\n\nScale `/.test(head),
  });
}

/** Writes a report as a Markdown page with its charts; the page's path. */
export async function writePage(report: Report, { folder, name }: PagePlace): Promise<string> {
  const { markdown, charts } = renderPage(report, name);
  for (const [file, svg] of charts) {
    resolveInside(folder, file);
    await requireOwnFile(join(folder, file), { what: 'an SVG chart', isOwn: (head) => head.startsWith('<svg') });
    await writeFileAtomic(join(folder, file), svg);
  }
  const page = pathOf({ folder, name });
  await writeFileAtomic(page, markdown);
  return page;
}

function pathOf({ folder, name }: PagePlace): string {
  const file = `${name}.md`;
  resolveInside(folder, file);
  return join(folder, file);
}
