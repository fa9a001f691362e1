import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weightlock-tools-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(path: string, text: string): string {
  const full = join(folder, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, text);
  return full;
}

/** Puts a program of this name first in the path of {@link run}. */
function fake(name: string, script: string): void {
  chmodSync(write(`bin/${name}`, `#!${process.execPath}\n${script}`), 0o755);
}

function run(tool: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [resolve('tools', tool), ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}` },
  });
  return { status, stdout, stderr };
}

describe('npm run audit', () => {
  const none = { info: 0, low: 0, moderate: 0, high: 0, critical: 0, total: 0 };
  const finding = (severity: string) => ({
    name: 'tar',
    severity,
    isDirect: false,
    via: [
      { title: 'Arbitrary file overwrite', url: 'https://github.com/advisories/GHSA-1', severity, range: '<6.2.1' },
      'pacote',
    ],
    range: '<6.2.1',
    nodes: ['node_modules/tar'],
    fixAvailable: true,
  });
  const answer = (report: unknown, status: number) =>
    fake('npm', `console.log(${JSON.stringify(JSON.stringify(report))}); process.exitCode = ${status};`);
  const findings = (severity: 'moderate' | 'high' | 'critical') => ({
    auditReportVersion: 2,
    vulnerabilities: { tar: finding(severity) },
    metadata: { vulnerabilities: { ...none, [severity]: 1, total: 1 } },
  });

  it('asks about what users install', () => {
    fake(
      'npm',
      `require('node:fs').writeFileSync('asked.json', JSON.stringify(process.argv.slice(2))); console.log('{}')`,
    );
    run('audit.mjs');
    expect(JSON.parse(readFileSync(join(folder, 'asked.json'), 'utf8'))).toEqual(['audit', '--omit=dev', '--json']);
  });

  it('passes where nothing is found', () => {
    answer({ auditReportVersion: 2, vulnerabilities: {}, metadata: { vulnerabilities: none } }, 0);
    const line = 'audit: 0 critical, 0 high, 0 moderate, 0 low in production dependencies\n';
    expect(run('audit.mjs')).toEqual({ status: 0, stdout: line, stderr: '' });
  });

  it.each(['high', 'critical'] as const)('fails for a finding of level %s, and names it', (severity) => {
    answer(findings(severity), 1);
    const { status, stderr } = run('audit.mjs');
    expect(stderr).toBe(
      `${severity}: tar <6.2.1: Arbitrary file overwrite (https://github.com/advisories/GHSA-1); through pacote\n`,
    );
    expect(status).toBe(1);
  });

  it('counts a moderate finding and passes', () => {
    answer(findings('moderate'), 1);
    expect(run('audit.mjs')).toMatchObject({ status: 0, stdout: expect.stringContaining('1 moderate'), stderr: '' });
  });

  // What npm 11.19 printed for each.
  it.each([
    'request to http://127.0.0.1:9/-/npm/v1/security/advisories/bulk failed, reason: connect ECONNREFUSED 127.0.0.1:9',
    '405 Method Not Allowed - POST https://registry.npmjs.org/-/npm/v1/security/advisories/bulk',
  ])('says in one line that the registry did not answer, and passes: %s', (message) => {
    answer({ message, error: { summary: '', detail: '' } }, 1);
    const line = `audit: not done, the registry did not answer (${message})\n`;
    expect(run('audit.mjs')).toEqual({ status: 0, stdout: line, stderr: '' });
  });

  it('fails for what is no lack of network', () => {
    answer({ error: { code: 'ENOLOCK', summary: 'This command requires an existing lockfile.', detail: '' } }, 1);
    expect(run('audit.mjs')).toMatchObject({
      status: 1,
      stderr: 'audit: This command requires an existing lockfile.\n',
    });
    fake('npm', `console.error('npm broke'); process.exitCode = 7;`);
    expect(run('audit.mjs')).toMatchObject({ status: 1, stderr: 'audit: npm broke\n' });
  });
});

describe('npm run test:nodes', () => {
  const line = process.versions.node.split('.')[0];
  /** A vitest that says what it was given and what came of it. */
  const vitest = (script: string) => write('node_modules/vitest/vitest.mjs', script);
  const offline = () => fake('npm', `console.error('npm error code ENOTFOUND'); process.exitCode = 1;`);

  it('runs vitest with the running Node.js where it is of the line, and says what could not be fetched', () => {
    offline();
    vitest(`console.log('ran ' + process.argv.slice(2).join(' ')); console.log('2 skipped\\n31 passed, 0 failed');`);
    const { status, stdout } = run('test-nodes.mjs', 'src/graph');
    expect(stdout).toContain('ran run src/graph\n');
    const row = stdout.split('\n').find((text) => text.startsWith(process.version)) ?? '';
    expect(row.split(/\s+/)).toEqual([process.version, '31', '0', '2', 'ok']);
    for (const other of ['20', '22', '24'].filter((each) => each !== line)) {
      expect(stdout).toMatch(new RegExp(`^${other} .*@${other} could not be fetched: npm error code ENOTFOUND$`, 'm'));
    }
    expect(status).toBe(1);
  });

  it.each([
    [`console.log('30 passed, 1 failed'); process.exitCode = 1;`, [process.version, '30', '1', '0', 'failed']],
    [
      `console.log('31 passed, 0 failed'); process.exitCode = 1;`,
      [process.version, '31', '0', '0', 'vitest ended with 1'],
    ],
    [`process.exitCode = 3;`, [line, '–', '–', '–', 'vitest ended with 3 and no summary']],
  ])('tells what failed: %s', (script, cells) => {
    offline();
    vitest(script);
    const { status, stdout } = run('test-nodes.mjs');
    const rows = stdout.split('\n').map((text) => text.split(/ {2,}/));
    expect(rows).toContainEqual(cells);
    expect(status).toBe(1);
  });
});

describe('npm run docs:layers', () => {
  const page = 'docs/architecture.md';
  const [begin, end] = ['<!-- layers: written by `npm run docs:layers` -->', '<!-- end of layers -->'];
  const read = () => readFileSync(join(folder, page), 'utf8');
  beforeEach(() => {
    write('.dependency-cruiser.cjs', readFileSync('.dependency-cruiser.cjs', 'utf8'));
    write('tsconfig.json', readFileSync('tsconfig.json', 'utf8'));
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
    write('package.json', '{ "type": "module" }');
    write('src/registry/index.ts', 'export const a = 1;\n');
    write('src/graph/index.ts', `import { a } from '../registry/index.js';\nexport const b = a;\n`);
    // Of a type alone, and of what graph imports too.
    write(
      'src/engine/index.ts',
      `import type { b } from '../graph/index.js';\nimport { a } from '../registry/index.js';\nexport const c: typeof b = a;\n`,
    );
    write('src/engine/engine.test.ts', `import '../cli/index.js';\n`);
    write('src/cli/index.ts', `export const run = () => import('../engine/index.js');\n`);
    write(page, `# Before\n\n${begin}\n| \`graph\` | what to compute | |\n${end}\n\nAfter\n`);
  });

  it('writes arrows that no others imply, all imports, and what was said of a layer', () => {
    expect(run('architecture.mjs').status).toBe(1);
    expect(read()).toBe(`# Before

${begin}

\`\`\`mermaid
flowchart TD
  registry --> graph_[graph]
  graph_[graph] --> engine
  engine --> cli
\`\`\`

| folder | what it is | imports |
| --- | --- | --- |
| \`registry\` | to be described | – |
| \`graph\` | what to compute | registry |
| \`engine\` | to be described | registry, graph |
| \`cli\` | to be described | engine |

${end}

After
`);
  });

  it('is content when it is up to date, and not when a layer was added', () => {
    run('architecture.mjs');
    writeFileSync(join(folder, page), read().replaceAll('to be described', 'a layer'));
    expect(run('architecture.mjs', '--check')).toEqual({ status: 0, stdout: '', stderr: '' });
    write('src/data/index.ts', `export { b } from '../graph/index.js';\n`);
    const before = read();
    expect(run('architecture.mjs', '--check')).toMatchObject({
      status: 1,
      stderr: 'docs/architecture.md is out of date: run `npm run docs:layers`\n',
    });
    expect(read()).toBe(before);
    expect(run('architecture.mjs').stderr).toContain(
      'say what these layers are for:\n| `data` | to be described | graph |',
    );
  });

  it('refuses an import upwards, which no arrow could show', () => {
    write('src/graph/index.ts', `import { run } from '../cli/index.js';\nexport const b = run;\n`);
    expect(run('architecture.mjs')).toMatchObject({
      status: 1,
      stderr: 'src/graph imports src/cli, which comes after it in .dependency-cruiser.cjs\n',
    });
  });
});

describe('settings of editors and version managers', () => {
  it('agree with the formatter and with package.json', () => {
    const { formatter } = JSON.parse(readFileSync('biome.json', 'utf8'));
    const [, everywhere] = readFileSync('.editorconfig', 'utf8').split(/^\[.*\]$/m);
    expect(everywhere).toContain(`indent_style = ${formatter.indentStyle}\n`);
    expect(everywhere).toContain(`indent_size = ${formatter.indentWidth}\n`);
    expect(everywhere).toContain(`max_line_length = ${formatter.lineWidth}\n`);
    const { engines } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(engines.node).toBe(`>=${readFileSync('.nvmrc', 'utf8').trim()}`);
  });
});
