// Compiles src/ to dist/ from a clean slate, so that a deleted source leaves nothing behind.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

rmSync('dist', { recursive: true, force: true });
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
const main = 'dist/cli/main.js';
if (existsSync(main)) {
  if (!readFileSync(main, 'utf8').startsWith('#!'))
    writeFileSync(main, `#!/usr/bin/env node\n${readFileSync(main, 'utf8')}`);
  chmodSync(main, 0o755);
}

// The forms of result.json and status.json, for whoever reads them without this package.
const { resultJsonSchema, resultKinds } = await import('../dist/experiments/index.js');
const { statusJsonSchema } = await import('../dist/evidence/index.js');
mkdirSync('dist/schemas');
const schemas = {
  ...Object.fromEntries(resultKinds.map((kind) => [kind, resultJsonSchema(kind)])),
  status: statusJsonSchema(),
};
for (const [name, schema] of Object.entries(schemas)) {
  writeFileSync(`dist/schemas/${name}.json`, `${JSON.stringify(schema, null, 2)}\n`);
}
