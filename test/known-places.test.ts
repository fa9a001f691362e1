import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

/**
 * Where the words of classification may stand: in its tasks, of texts, images and tokens, in the data sets of classes and what commands say of them, in
 * what files, cards and transformers call classes, and in the paper's experiments on images. The engine, training, locks, attacks, evidence
 * and reports know tasks by their metrics.
 */
const places =
  /^src\/(tasks\/(token-)?classification\/|data\/|formats\/|models\/(card|labels|class-count|config|architecture|head|vit|language\/)|cli\/(card-data|describe-data|proxy-data|commands\/data)|experiments\/(reproduce\/|older-results|card-of-data|demo\.ts))/;

/** Identifiers and property names of a source; comments and texts aside. */
function codeOf(source: string): string {
  return source
    .replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '')
    .replace(/'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g, "''")
    .replace(/`(?:\\.|[^`\\])*`/g, (text) => (text.match(/\$\{[^}]*\}/g) ?? []).join(';'));
}

it('shapes of images, classes and accuracy are known to the classification task alone', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .map((file) => join('src', file).replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.ts') && !/\.(test|slow)\.ts$/.test(file) && !file.includes('onnx_pb'));
  expect(files.length).toBeGreaterThan(200);
  const found = files.filter((file) => /\b(inputShape|classes|accuracy)\b/.test(codeOf(readFileSync(file, 'utf8'))));
  expect(found.filter((file) => !places.test(file))).toEqual([]);
  expect(found).toContain('src/tasks/classification/index.ts');
});
