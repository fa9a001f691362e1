// `npm audit` of what a user installs: fails where a finding is of level high or above, not where the registry cannot be asked.
import { spawnSync } from 'node:child_process';

const { stdout, stderr, error } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
  encoding: 'utf8',
  // npm.cmd is run by a shell alone.
  shell: process.platform === 'win32',
});
const report = parse(stdout);

if (report?.metadata?.vulnerabilities) {
  const { high, critical, moderate, low } = report.metadata.vulnerabilities;
  const severe = Object.values(report.vulnerabilities).filter(({ severity }) => /^(high|critical)$/.test(severity));
  for (const { name, severity, range, via } of severe) {
    const why = via.map((cause) => (typeof cause === 'string' ? `through ${cause}` : `${cause.title} (${cause.url})`));
    console.error(`${severity}: ${name} ${range}: ${why.join('; ')}`);
  }
  console.log(`audit: ${critical} critical, ${high} high, ${moderate} moderate, ${low} low in production dependencies`);
  if (critical + high > 0) process.exitCode = 1;
} else if (report?.message && !report.error?.code) {
  // What npm prints where the request failed: no network, a proxy, or a mirror without this endpoint.
  console.log(`audit: not done, the registry did not answer (${report.message.split('\n')[0]})`);
} else {
  const reason =
    report?.error?.summary || error?.message || stderr.trim() || stdout.trim() || 'npm audit printed nothing';
  console.error(`audit: ${reason}`);
  process.exitCode = 1;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
