// Compiles src/ to dist/ from a clean slate, so that a deleted source leaves nothing behind.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

rmSync('dist', { recursive: true, force: true });
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
const main = 'dist/cli/main.js';
if (existsSync(main)) {
  if (!readFileSync(main, 'utf8').startsWith('#!'))
    writeFileSync(main, `#!/usr/bin/env node\n${readFileSync(main, 'utf8')}`);
  chmodSync(main, 0o755);
}
