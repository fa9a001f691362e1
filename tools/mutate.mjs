// Does a test fail when a registered optimizer, schedule, data transform or lock does something else than its name says?
// Changes one thing at a time in a copy of the sources and runs the tests beside it.
//
//     npm run build && node tools/mutate.mjs [how a mutant's name begins]
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { dataSpec } from '../dist/data/index.js';
import { specDefOptions } from '../dist/locks/index.js';
import { optimizers, schedules } from '../dist/training/index.js';

/** A mutant: `search` in `file` becomes `replacement`; `tests` must fail then. */
const mutants = [];
const add = (name, file, search, replacement, tests) => mutants.push({ name, file, search, replacement, tests });

const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
for (const { name, options } of optimizers.entries()) {
  const entry = `${camel(name)}Entry`;
  const to = (what, create) =>
    add(
      `optimizer ${name}: ${what}`,
      'src/training/optimizers/index.ts',
      `  ${entry},\n]`.slice(0, -1),
      `  { ...${entry}, create: (options: any) => ${create} } as any,\n`,
      ['src/training/optimizers', 'src/training/curvature.test.ts'],
    );
  const own = `${entry}.create(options)`;
  to('does nothing', `({ ...${own}, update: (_g: any, state: any) => void state.step++ })`);
  to(
    'moves along the plain gradient',
    `({ ...${own}, update: async (g: any, s: any, p: any, rate: number, o: any) => {
      const from = structuredClone(p);
      await ${own}.update(g, s, p, rate, o);
      for (const [key, values] of p) values.set(from.get(key).map((x: number, i: number) => x - rate * (g.get(key)?.[i] ?? 0)));
    } })`,
  );
  for (const key of Object.keys(options.shape)) {
    to(`ignores ${key}`, `(${entry}.create(options), ${entry}.create({ ...options, ${key}: undefined }))`);
  }
}

for (const { name, options } of schedules.entries()) {
  const made = `create: ${name}Schedule,`;
  const to = (what, create) =>
    add(
      `schedule ${name}: ${what}`,
      'src/training/schedules.ts',
      made,
      `create: ((options: any) => ${create}) as any,`,
      ['src/training/schedules.test.ts'],
    );
  const other = name === 'constant' ? 'linear' : 'constant';
  const warmup = '{ warmupSteps: options?.warmupSteps, warmupStart: options?.warmupStart }';
  to(`is ${other}`, `({ ...${name}Schedule(options), factor: ${other}Schedule(${warmup}).factor })`);
  for (const key of Object.keys(options.shape)) {
    to(`ignores ${key}`, `(${name}Schedule(options), ${name}Schedule({ ...options, ${key}: undefined }))`);
  }
}

const data = ['src/data/transforms.test.ts', 'src/data/images.test.ts', 'src/data/registry.test.ts'];
for (const key of Object.keys(dataSpec.shape)) {
  if (key === 'name' || key === 'path') continue;
  add(
    `data: ignores ${key}`,
    'src/data/load.ts',
    'export async function loadData(spec: DataSpec): Promise<DataParts> {\n',
    `export async function loadData(given: DataSpec): Promise<DataParts> {\n  const spec = { ...given, ${key}: dataSpec.parse({}).${key} };\n`,
    data,
  );
}
const inImages = (name, search, replacement) => add(`data: ${name}`, 'src/data/images.ts', search, replacement, data);
inImages('crop moves down only', 'right: shift(),', 'right: 0 * shift(),');
inImages('crop pads with the edge', 'inside ? pixels', 'true ? pixels');
inImages('flip is upside down', 'const row = y + down;', 'const row = (mirrored ? height - 1 - y : y) + down;');
inImages('flip mirrors always', 'random.integer(2) === 1', 'random.integer(2) < 2');
inImages('flip mirrors seldom', 'random.integer(2) === 1', 'random.integer(20) === 1');
inImages('mean is added', '- fround(mean)', '+ fround(mean)');
inImages('std multiplies', '/ fround(std)', '* fround(std)');
const registry = readFileSync('src/data/registry.ts', 'utf8');
const usual = [...registry.matchAll(/normalization: \{[^}]*\},/g)].map(([text]) => text);
for (const text of new Set(usual)) {
  const channels = text.includes(',') && text.split(',').length > 4 ? '0.5, 0.5, 0.5' : '0.5';
  add(
    `data: ${text} is another`,
    'src/data/registry.ts',
    text,
    `normalization: { mean: [${channels}], std: [${channels}] },`,
    data,
  );
}
for (const classes of ['digits', 'clothes', 'characters']) {
  const other = classes === 'digits' ? 'clothes' : 'digits';
  add(
    `data: ${classes} are named as ${other}`,
    'src/data/registry.ts',
    `openIdx(path, ${classes})`,
    `openIdx(path, ${other})`,
    data,
  );
}

const specdef = (name, change) =>
  add(
    `specdef: ${name}`,
    'src/locks/specdef/run.ts',
    /(async function runSpecDef\(\s*context: LockContext,\s*)options(: SpecDefOptions,[^{]*\{\n)/,
    `$1given$2  const { specDefOptions } = await import('./options.js');\n  const plain = specDefOptions.parse({}) as any;\n  const options = { ...given, ${change} } as SpecDefOptions;\n  void plain;\n`,
    ['src/locks/specdef/options.test.ts', 'src/locks'],
  );
specdef('does nothing', 'steps: 0, epochs: undefined, lead: { ...given.lead, steps: 0 }');
specdef('only retains', 'alpha: 1');
for (const [key, schema] of Object.entries(specDefOptions.shape)) {
  const nested = schema.unwrap?.()?.shape;
  if (nested) {
    for (const inner of Object.keys(nested)) {
      specdef(`ignores ${key}.${inner}`, `${key}: { ...given.${key}, ${inner}: plain.${key}.${inner} }`);
    }
  } else specdef(`ignores ${key}`, `${key}: plain.${key}`);
}

const wanted = mutants.filter(({ name }) => name.startsWith(process.argv[2] ?? ''));
const scratch = mkdtempSync(join(tmpdir(), 'weightlock-mutants-'));
for (const part of ['src', 'test', 'tools', 'package.json', 'tsconfig.json', 'vitest.config.ts']) {
  cpSync(part, join(scratch, part), { recursive: true });
}
symlinkSync(resolve('node_modules'), join(scratch, 'node_modules'));

/** The first failing test among these, or undefined when all pass. */
function firstFailure(tests) {
  const args = ['vitest', 'run', ...tests, '--bail', '1', '--maxWorkers', '1', '--reporter', 'json'];
  const { stdout, stderr } = spawnSync('npx', args, { cwd: scratch, encoding: 'utf8', maxBuffer: 2 ** 28 });
  const start = stdout.indexOf('{"num');
  if (start < 0) throw new Error(stderr || stdout);
  const { testResults } = JSON.parse(stdout.slice(start));
  const failed = ({ status }) => status === 'failed';
  const test = testResults.flatMap(({ assertionResults }) => assertionResults).find(failed);
  return (test?.fullName ?? testResults.find(failed)?.message)?.split('\n')[0].trim();
}

for (const tests of new Set(wanted.map((mutant) => mutant.tests.join(' ')))) {
  const failure = firstFailure(tests.split(' '));
  if (failure) throw new Error(`unchanged sources fail already: ${failure}`);
}
let survivors = 0;
for (const { name, file, search, replacement, tests } of wanted) {
  const path = join(scratch, file);
  const source = readFileSync(path, 'utf8');
  const mutated = source.replace(search, replacement);
  if (mutated === source) throw new Error(`${name}: ${file} has no ${search}`);
  writeFileSync(path, mutated);
  const killer = firstFailure(tests);
  writeFileSync(path, source);
  if (!killer) survivors++;
  console.log(killer ? `caught   ${name}: ${killer}` : `SURVIVES ${name}`);
}
rmSync(scratch, { recursive: true });
console.log(`${wanted.length - survivors} of ${wanted.length} mutants caught`);
process.exit(survivors > 0 ? 1 : 0);
