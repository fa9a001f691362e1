import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/** What a process left behind and whom it wanted to talk to. */
export interface Watched {
  /** Exit code; null after a signal. */
  readonly exitCode: number | null;
  /** All of stdout and stderr. */
  readonly output: string;
  /** Files in its home, cache and temporary folders when it had ended, relative to them. */
  readonly files: readonly string[];
  /** First lines of what came to the proxy that it was told to use, as HTTP libraries of any language do. */
  readonly proxied: readonly string[];
  /** Internet sockets that it or its children held at any look, as lines of the system's tables; Linux only. */
  readonly sockets: readonly string[];
}

/** Runs a program with home, cache and temporary folders of its own, without telemetry settings, and watches it. */
export async function watch(
  root: string,
  command: readonly string[],
  { env = {}, cwd = root }: { env?: Readonly<Record<string, string>>; cwd?: string } = {},
): Promise<Watched> {
  const own = await mkdtemp(join(root, 'watched-'));
  const [home, cache, temporary] = ['home', 'cache', 'tmp'].map((name) => join(own, name));
  for (const folder of [home, cache, temporary]) await mkdir(folder);
  const proxied: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (data) => {
      proxied.push(data.toString('latin1').split('\r\n')[0]);
      socket.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const proxy = typeof address === 'object' ? `http://127.0.0.1:${address?.port}` : '';
  const { ORT_DISABLE_TELEMETRY: _, ...inherited } = process.env;
  const child = spawn(command[0], command.slice(1), {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...inherited,
      ...{ HOME: home, USERPROFILE: home, XDG_CACHE_HOME: cache, LOCALAPPDATA: cache },
      ...{ TMPDIR: temporary, TMP: temporary, TEMP: temporary },
      ...{ http_proxy: proxy, https_proxy: proxy, HTTP_PROXY: proxy, HTTPS_PROXY: proxy, all_proxy: proxy },
      ...env,
    },
  });
  const sockets = new Set<string>();
  const timer = setInterval(() => {
    for (const socket of internetSockets(child)) sockets.add(socket);
  }, 150);
  const [stdout, stderr, [exitCode]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  clearInterval(timer);
  server.close();
  const files = readdirSync(own, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(own.length + 1))
    .sort();
  return { exitCode: exitCode as number | null, output: stdout + stderr, files, proxied, sockets: [...sockets] };
}

/** Rows of the system's socket tables that belong to a process or one of its children. */
function internetSockets({ pid }: ChildProcess): string[] {
  if (!existsSync('/proc/self/net') || pid === undefined) return [];
  const inodes = new Set<string>();
  for (const each of family(String(pid))) {
    for (const descriptor of list(`/proc/${each}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(attempt(() => readlinkSync(`/proc/${each}/fd/${descriptor}`)) ?? '')?.[1];
      if (inode) inodes.add(inode);
    }
  }
  return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) =>
    (attempt(() => readFileSync(`/proc/${pid}/net/${table}`, 'utf8')) ?? '')
      .split('\n')
      .map((row) => row.trim().split(/\s+/))
      .filter((row) => inodes.has(row[9]))
      .map((row) => `${table} ${row[1]} to ${row[2]}`),
  );
}

function family(pid: string): string[] {
  const children = list(`/proc/${pid}/task`).flatMap((task) =>
    (attempt(() => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')) ?? '').split(' ').filter((each) => each),
  );
  return [pid, ...children.flatMap(family)];
}

/** A process may end between two looks. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function list(folder: string): string[] {
  return attempt(() => readdirSync(folder)) ?? [];
}
