// Writes the sentences of reviews that were rated for VADER (Hutto and Gilbert, 2014) as a data set of two classes, which the
// frontier's MiniLM is attacked with: tasks that have nothing to do with the one it is released for.
//
//   The files lie in the source distribution of vaderSentiment 3.3.2 (MIT) on PyPI, additional_resources/hutto_ICWSM_2014.tar.gz,
//   folder hutto_ICWSM_2014
//   node tools/rated-sentences.mjs movieReviewSnippets_GroundTruth.txt data/movie-reviews
//   node tools/rated-sentences.mjs amazonReviewSnippets_GroundTruth.txt data/product-reviews
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Mean ratings go from −4 to 4; nearer to 0 the raters did not agree on a side. */
const clear = 0.5;

const [source, folder] = process.argv.slice(2);
if (!source || !folder) {
  console.error('usage: node tools/rated-sentences.mjs GROUND_TRUTH.txt FOLDER');
  process.exit(2);
}
const rows = new Map();
for (const line of readFileSync(source, 'utf8').split('\n')) {
  const [, rating, text] = line.trim().split('\t');
  if (!text || Math.abs(Number(rating)) < clear) continue;
  // A tab or a quotation mark would end a cell; of two that say the same the first counts.
  const sentence = text.replaceAll(/[\t"]/g, ' ').replaceAll("''", "'").trim();
  if (!rows.has(sentence)) rows.set(sentence, Number(rating) > 0 ? 1 : 0);
}
const all = [...rows];
const write = (name, some) => {
  const lines = ['sentence\tlabel', ...some.map(([sentence, label]) => `${sentence}\t${label}`)];
  writeFileSync(join(folder, name), `${lines.join('\n')}\n`);
  console.log(`${name}: ${some.length} sentences, ${some.filter(([, label]) => label === 1).length} of them praise`);
};
mkdirSync(folder, { recursive: true });
write(
  'dev.tsv',
  all.filter((_, index) => index % 5 === 0),
);
write(
  'train.tsv',
  all.filter((_, index) => index % 5 !== 0),
);
