// The file behind `weightlock`. It imports nothing before it has looked at Node.js itself, so that an old one is named
// instead of failing over a missing function somewhere in a dependency.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const found = process.versions.node;

if (major > 20 || (major === 20 && minor >= 19)) await import('./entry.js');
else if (process.argv[2] === 'doctor') {
  const detail = `${found}, needs 20.19 or newer`;
  const checks = [{ name: 'Node.js', status: 'failed', detail }];
  const text = `failed  Node.js  ${detail}\nnote    the rest  cannot be looked at with this Node.js`;
  console.log(process.argv.includes('--json') ? JSON.stringify({ healthy: false, checks }, null, 2) : text);
  process.exitCode = 1;
} else {
  console.error(`error: weightlock needs Node.js 20.19 or newer, found ${found}`);
  process.exitCode = 2;
}

export {};
