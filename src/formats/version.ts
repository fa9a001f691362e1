import { readFileSync } from 'node:fs';

/** The version in weightlock's own package.json. */
export function weightlockVersion(): string {
  // src/formats/ and dist/formats/ lie equally deep, so one relative path serves both.
  return versionOf(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
}

/** The version that a package.json states. */
export function versionOf(packageJson: string): string {
  const { version } = JSON.parse(packageJson) as { version?: unknown };
  if (typeof version !== 'string') throw new TypeError('package.json: expected a version');
  return version;
}
