import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const folders = readdirSync('src', { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? entry.name : []));
const { exports, dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'weightlock-subpaths-'));
  // As if weightlock were installed there.
  mkdirSync(join(scratch, 'node_modules/@types'), { recursive: true });
  symlinkSync(resolve('.'), join(scratch, 'node_modules/weightlock'));
  symlinkSync(resolve('node_modules/@types/node'), join(scratch, 'node_modules/@types/node'));
  writeFileSync(join(scratch, 'package.json'), '{ "type": "module" }');
  // Writes down what is loaded as a module, and at the end what was required.
  writeFileSync(
    join(scratch, 'watch.mjs'),
    `import { appendFileSync } from 'node:fs';
import Module, { register } from 'node:module';
const hooks = "import { appendFileSync } from 'node:fs'; export async function load(url, context, next) { appendFileSync(process.env.LOADED, url + '\\\\n'); return next(url, context); }";
register('data:text/javascript,' + encodeURIComponent(hooks));
process.on('exit', () => appendFileSync(process.env.LOADED, Object.keys(Module._cache).join('\\n') + '\\n'));`,
  );
});
afterAll(() => rmSync(scratch, { recursive: true }));

/** The packages whose files a process loads that runs this code. */
function packagesLoadedBy(code: string): string[] {
  const loaded = join(scratch, 'loaded.txt');
  writeFileSync(loaded, '');
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', pathToFileURL(join(scratch, 'watch.mjs')).href, '--input-type=module', '--eval', code],
    { cwd: scratch, encoding: 'utf8', env: { ...process.env, LOADED: loaded } },
  );
  expect([stderr, status]).toEqual(['', 0]);
  const names = [...readFileSync(loaded, 'utf8').matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)\//g)].map(
    ([, name]) => name,
  );
  return [...new Set(names)].sort();
}

describe('what an import loads', () => {
  const heavy = [
    'vega',
    'vega-lite',
    'sharp',
    'commander',
    'onnxruntime-node',
    'mnist',
    'pg',
    'pg-boss',
    '@electric-sql/pglite',
  ];

  it.each(['weightlock', 'weightlock/locks', 'weightlock/report'])(
    '%s: nothing that draws, decodes, runs or parses',
    (name) => {
      const packages = packagesLoadedBy(`await import('${name}')`);
      expect(packages).toContain('zod');
      expect(packages.filter((each) => heavy.includes(each) || /^(d3|vega|@img)\b/.test(each))).toEqual([]);
    },
  );

  it('weightlock/cli: the parser of the command line, and still no charts', () => {
    const packages = packagesLoadedBy(`await import('weightlock/cli')`);
    expect(packages).toContain('commander');
    expect(packages.filter((each) => /^(vega|sharp|pg|@electric-sql)/.test(each))).toEqual([]);
  });

  it('a chart: Vega (which shows that this test would see it)', () => {
    const draw = `const { renderChart } = await import('weightlock/report');
      const spec = { data: { values: [{ x: 1 }] }, mark: 'point', encoding: { x: { field: 'x', type: 'quantitative' } } };
      const { svg } = await renderChart(spec, { data: { columns: [], rows: [] } });
      if (!svg.startsWith('<svg')) throw new Error(svg);`;
    expect(packagesLoadedBy(draw)).toEqual(expect.arrayContaining(['vega', 'vega-lite']));
  });
});

describe('subpaths', () => {
  it('are the root, one for each folder of src, the schemas and package.json', () => {
    const names = folders.map((name) => `./${name}`);
    expect(Object.keys(exports)).toEqual(['.', ...names, './schemas/*', './package.json']);
    const faces = Object.entries<{ types: string; default: string }>(exports).slice(0, -2);
    for (const [name, face] of faces) {
      const file = `./dist/${name === '.' ? '' : `${name.slice(2)}/`}index`;
      expect(face).toEqual({ types: `${file}.d.ts`, default: `${file}.js` });
    }
  });

  it('give the schema of each result, and of the status of a run', () => {
    const code = `import { createRequire } from 'node:module';
      const schema = createRequire(import.meta.url)('weightlock/schemas/attack.json');
      if (schema.$id !== 'weightlock/attack/1' || !schema.required.includes('rows')) throw new Error(JSON.stringify(schema));`;
    expect(packagesLoadedBy(code)).toEqual([]);
    expect(readdirSync('dist/schemas').sort()).toEqual(
      ['attack', 'demo', 'lock', 'reproduce', 'status', 'sweep', 'train'].map((name) => `${name}.json`),
    );
  });

  it('load what the root names, the command line aside', () => {
    const code = `const root = await import('weightlock');
      for (const name of ${JSON.stringify(folders)}) {
        const own = await import('weightlock/' + name);
        if (name === 'cli' ? name in root : root[name] !== own) throw new Error(name);
        if (Object.keys(own).length === 0) throw new Error(name + ' is empty');
      }`;
    expect(packagesLoadedBy(code)).toContain('commander');
  });

  it.each([
    { module: 'Node16', moduleResolution: 'Node16' },
    { module: 'NodeNext', moduleResolution: 'NodeNext' },
    { module: 'ESNext', moduleResolution: 'Bundler' },
  ])('have types for TypeScript with $moduleResolution', (resolution) => {
    writeFileSync(
      join(scratch, 'all.ts'),
      `import * as root from 'weightlock';
${folders.map((name) => `import * as ${name}_ from 'weightlock/${name}';`).join('\n')}
${folders
  .filter((name) => name !== 'cli')
  .map((name) => `export const ${name}: typeof root.${name} = ${name}_;`)
  .join('\n')}
export const exitCode: Promise<number> = cli_.main(['--help']);
// @ts-expect-error A number: the types are there, and not any.
export const wrong: number = locks_.specDefOptions;
`,
    );
    const compilerOptions = {
      ...{ strict: true, noEmit: true, target: 'ES2023', lib: ['ES2023'], types: ['node'], skipLibCheck: true },
      ...resolution,
    };
    writeFileSync(join(scratch, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['all.ts'] }));
    const tsc = spawnSync(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '-p', '.'], {
      cwd: scratch,
      encoding: 'utf8',
    });
    expect([tsc.stdout, tsc.status]).toEqual(['', 0]);
  });

  it('and nothing else: a file within a folder cannot be imported', () => {
    const code = `const error = await import('weightlock/locks/specdef').then(() => undefined, (error) => error);
      if (error?.code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') throw new Error(String(error));`;
    expect(packagesLoadedBy(code)).toEqual([]);
  });
});

it('every dependency is imported by something', () => {
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  const text = sources.map((path) => readFileSync(join('src', path), 'utf8')).join('\n');
  for (const name of Object.keys(dependencies)) expect(text).toMatch(new RegExp(`['"]${name}(/[^'"]*)?['"]`));
});
