import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReproductionResult } from '../experiments/index.js';
import { writeFileAtomic } from '../formats/index.js';
import { type ReportOrigin, reproductionPage } from '../report/index.js';

/** Writes a reproduction as a Markdown page with its charts into a folder; the page's path. */
export async function writePage(found: ReproductionResult, origin: ReportOrigin, folder: string): Promise<string> {
  const { markdown, charts } = await reproductionPage(found, origin);
  await mkdir(folder, { recursive: true });
  for (const [file, svg] of charts) await writeFileAtomic(join(folder, file), svg);
  const page = join(folder, `${found.name}.md`);
  await writeFileAtomic(page, markdown);
  return page;
}
