import { join } from 'node:path';
import type { ReproductionResult } from '../experiments/index.js';
import { requireWritable, resolveInside, writeFileAtomic } from '../formats/index.js';
import { pageName, type ReportOrigin, reproductionPage } from '../report/index.js';
import { requireOwnFile } from './output-files.js';

/** What a page is of. */
type Reproduced = Pick<ReproductionResult, 'name' | 'scale'>;

/** Checks, before any work, that a reproduction's page can be written into a folder and overwrites no other file. */
export async function requirePage(reproduced: Reproduced, folder: string): Promise<void> {
  await requireWritable(folder, 'folder');
  await requireOwnFile(pageOf(reproduced, folder), {
    what: 'the page of a reproduction',
    isOwn: (head) => /^# [^\n]+\n\nScale `/.test(head),
  });
}

/** Writes a reproduction as a Markdown page with its charts into a folder; the page's path. */
export async function writePage(found: ReproductionResult, origin: ReportOrigin, folder: string): Promise<string> {
  const { markdown, charts } = await reproductionPage(found, origin);
  for (const [file, svg] of charts) {
    await requireOwnFile(join(folder, file), { what: 'an SVG chart', isOwn: (head) => head.startsWith('<svg') });
    await writeFileAtomic(join(folder, file), svg);
  }
  const page = pageOf(found, folder);
  await writeFileAtomic(page, markdown);
  return page;
}

/** The file's name; the experiment's comes from a run folder, which may be anyone's. */
function pageOf(reproduced: Reproduced, folder: string): string {
  const file = `${pageName(reproduced)}.md`;
  resolveInside(folder, file);
  return join(folder, file);
}
