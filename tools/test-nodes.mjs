// Runs the default tests on each line of Node.js that weightlock supports, and prints one table.
//
//     npm run test:nodes [-- arguments of vitest, such as files]
//
// A line that is not the running one is fetched from the npm registry, where each platform's binary is a package (what
// `npx -p node@22` would fetch too, by an install script, and .npmrc turns those off).
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';

const LINES = ['20', '22', '24'];
const CACHE = resolve('node_modules/.cache/nodes');

const rows = [];
for (const line of LINES) {
  try {
    const node = findNode(line);
    const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
    console.log(`\nNode.js ${version}`);
    rows.push({ node: version, ...(await runTests(node)) });
  } catch (error) {
    rows.push({ node: line, passed: '–', failed: '–', skipped: '–', result: error.message });
  }
}
const columns = ['node', 'passed', 'failed', 'skipped', 'result'];
const table = [columns, ...rows.map((row) => columns.map((column) => String(row[column])))];
const widths = columns.map((_, index) => Math.max(...table.map((cells) => cells[index].length)));
const numeric = (index) => index > 0 && index < columns.length - 1;
console.log();
for (const cells of table) {
  const padded = cells.map((cell, index) =>
    numeric(index) ? cell.padStart(widths[index]) : cell.padEnd(widths[index]),
  );
  console.log(padded.join('  ').trimEnd());
}
if (rows.some(({ result }) => result !== 'ok')) process.exitCode = 1;

/** The path of a Node.js of this line. */
function findNode(line) {
  if (process.versions.node.startsWith(`${line}.`)) return process.execPath;
  const windows = process.platform === 'win32';
  const name = `node-${windows ? 'win' : process.platform}-${process.arch}`;
  const folder = join(CACHE, line);
  const binary = join(folder, 'node_modules', name, 'bin', windows ? 'node.exe' : 'node');
  if (!existsSync(binary)) {
    console.log(`Fetching ${name}@${line} ...`);
    mkdirSync(folder, { recursive: true });
    const args = ['install', '--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', `${name}@${line}`];
    const { status, stderr, error } = spawnSync('npm', args, { encoding: 'utf8', shell: windows });
    if (status !== 0 || !existsSync(binary)) {
      const [reason = 'no such file in it'] = (error?.message ?? stderr).split('\n').filter((text) => text.trim());
      throw new Error(`${name}@${line} could not be fetched: ${reason.trim()}`);
    }
  }
  return binary;
}

/** Runs vitest and reads the last lines that tools/summary-reporter.mjs writes. */
async function runTests(node) {
  const child = spawn(node, ['node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)], {
    // Tests start `node` by name too.
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let tail = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    process.stdout.write(text);
    tail = (tail + text).slice(-4096);
  });
  const status = await new Promise((settle, refuse) => child.on('error', refuse).on('close', settle));
  const counted = /(?:(\d+) skipped\n)?(\d+) passed, (\d+) failed\s*$/.exec(tail);
  if (!counted) throw new Error(`vitest ended with ${status} and no summary`);
  const [, skipped = 0, passed, failed] = counted.map((text) => text && Number(text));
  const result = status === 0 ? 'ok' : failed > 0 ? 'failed' : `vitest ended with ${status}`;
  return { passed, failed, skipped, result };
}
