import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

it('a worker process knows the attacks, since transforms and trained parts become known with them', () => {
  const hooks = 'export async function load(url, context, next) { process._rawDebug(url); return next(url, context); }';
  const preload = `import { register } from 'node:module'; register('data:text/javascript,${encodeURIComponent(hooks)}');`;
  const preloadUrl = `data:text/javascript,${encodeURIComponent(preload)}`;
  const { status, stderr } = spawnSync(process.execPath, ['--import', preloadUrl, 'dist/attacks/workers/worker.js'], {
    encoding: 'utf8',
  });
  expect(status).toBe(0);
  expect(stderr).toMatch(/dist\/attacks\/workers\/task\.js/);
  expect(stderr).toMatch(/dist\/attacks\/registry\.js/);
});
