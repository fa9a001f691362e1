import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';

/** Folder of PostgreSQL's programs: of the PATH, or where Debian's packages put them; undefined where there is none. */
export function postgresPrograms(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...versions.map((each) => join(debian, each, 'bin'))];
  return folders.find((folder) => folder !== '' && existsSync(join(folder, 'initdb')));
}

/** A PostgreSQL of a test's own, on a free port of this machine, with a password. */
export class Postgres {
  #server: ChildProcess | undefined;

  private constructor(
    private readonly programs: string,
    private readonly root: string,
    private readonly port: number,
    readonly password: string,
    private readonly user: { uid?: number; gid?: number },
  ) {}

  /** Makes a cluster in a temporary folder and starts it. */
  static async start(programs: string): Promise<Postgres> {
    const root = mkdtempSync(join(tmpdir(), 'weightlock-postgres-'));
    // PostgreSQL refuses to run as root.
    const user: { uid?: number; gid?: number } = process.getuid?.() === 0 ? unprivileged() : {};
    const password = `secret-${Math.random().toString(36).slice(2)}`;
    writeFileSync(join(root, 'password'), `${password}\n`);
    chmodSync(root, 0o755);
    for (const path of [root, join(root, 'password')]) {
      if (user.uid !== undefined && user.gid !== undefined) chownSync(path, user.uid, user.gid);
    }
    const flags = ['-U', 'sweeper', '--auth=scram-sha-256', `--pwfile=${join(root, 'password')}`, '--no-locale'];
    execFileSync(join(programs, 'initdb'), ['-D', join(root, 'data'), ...flags], {
      ...user,
      cwd: root,
      stdio: 'ignore',
    });
    const found = new Postgres(programs, root, await freePort(), password, user);
    await found.up();
    return found;
  }

  get url(): string {
    return `postgres://sweeper:${this.password}@127.0.0.1:${this.port}/postgres`;
  }

  /** Starts the server and waits until it answers. */
  async up(): Promise<void> {
    const flags = ['-D', join(this.root, 'data'), '-p', String(this.port)];
    const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=60'];
    this.#server = spawn(join(this.programs, 'postgres'), [...flags, ...settings.flatMap((each) => ['-c', each])], {
      ...this.user,
      cwd: this.root,
      stdio: 'ignore',
    });
    for (;;) {
      if (await this.query('SELECT 1').catch(() => undefined)) return;
      if (this.#server.exitCode !== null) throw new Error(`postgres ended with ${this.#server.exitCode}`);
      await wait(100);
    }
  }

  /** Ends the server as a power cut does: nothing is written any more, the log is replayed at the next start. */
  async crash(): Promise<void> {
    const server = this.#server;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill('SIGQUIT');
    await ended;
  }

  /** Kills one connection's process, after which the server throws all others out and recovers by itself. */
  async killBackend(): Promise<void> {
    const rows = await this.query(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'weightlock' ORDER BY random() LIMIT 1",
    ).catch(() => undefined);
    const [row] = rows ?? [];
    if (row) process.kill(Number(row.pid), 'SIGKILL');
  }

  /** Runs a statement. */
  async query(text: string): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: this.url, application_name: 'test' });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Ends the server and removes its files. */
  async remove(): Promise<void> {
    await this.crash();
    rmSync(this.root, { recursive: true, force: true });
  }
}

function unprivileged(): { uid: number; gid: number } {
  const of = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: of('-u'), gid: of('-g') };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || !address) throw new Error('expected a port');
  return address.port;
}
