import { main } from '../../src/cli/index.js';

/** What a command ended with. */
export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a command of weightlock in this process, in another folder: as `weightlock` does, but for what starting it takes
 * (most of a second), and for signals and errors that no one awaits, which cli-commands.test.ts covers.
 */
export async function runCommand(cwd: string, args: readonly string[]): Promise<Ended> {
  const before = process.cwd();
  const written = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof written) => ({
    write: (text: string) => {
      written[name] += text;
    },
    on: () => undefined,
  });
  process.chdir(cwd);
  try {
    const status = await main(args, { stdout: stream('stdout'), stderr: stream('stderr') });
    return { status, ...written };
  } finally {
    process.chdir(before);
  }
}
