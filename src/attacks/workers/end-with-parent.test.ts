import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';

it.skipIf(process.platform === 'win32')('a busy process ends with its killed parent', async () => {
  const module = JSON.stringify(pathToFileURL(resolve('dist/attacks/workers/end-with-parent.js')).href);
  const child = `import { endWithParent } from ${module}; endWithParent(); setTimeout(() => { console.log(process.pid); for (;;); }, 300);`;
  const parent = `
import { spawn } from 'node:child_process';
spawn(process.execPath, ['--input-type=module', '-e', ${JSON.stringify(child)}], { stdio: 'inherit' });`;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', parent], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // Also said of a child that ends before it wrote anything: then there is nothing to read.
  await once(owner.stdout, 'readable');
  expect(Number(owner.stdout.read())).toBeGreaterThan(1);
  owner.stdout.resume();
  const closed = once(owner.stdout, 'close');
  owner.kill('SIGKILL');
  // Without its end this waits for ever: the busy process holds the other end of this pipe for as long as it lives.
  await closed;
});
