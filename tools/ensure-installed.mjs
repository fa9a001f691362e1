// Runs before `npm start` and `npm test`: installs what is missing, and nothing when all is there.
import { execSync } from 'node:child_process';
import { existsSync, lstatSync, statSync } from 'node:fs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`weightlock needs Node.js 20.19 or newer, found ${process.version}`);
  process.exit(2);
}
const marker = 'node_modules/.package-lock.json';
// A linked node_modules is shared with another checkout; installing into it would pull it away from under that one.
const linked = existsSync('node_modules') && lstatSync('node_modules').isSymbolicLink();
const installed = linked || (existsSync(marker) && statSync(marker).mtimeMs >= statSync('package-lock.json').mtimeMs);
if (!installed) {
  console.log('Installing dependencies (npm ci) ...');
  execSync('npm ci', { stdio: 'inherit' });
}
// .npmrc turns install scripts off, and with them the build that would follow.
if (!installed || !existsSync('dist/cli/main.js')) execSync('npm run build', { stdio: 'inherit' });
