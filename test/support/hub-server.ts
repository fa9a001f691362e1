import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** A file of the repository that {@link HubServer} serves. */
export interface ServedFile {
  content: Uint8Array | string;
  /** Kept outside Git and served by another host, as all large files are. */
  large?: boolean;
  /** What the listing says in the place of the truth. */
  listed?: { path?: string; size?: number; oid?: string };
  /** Breaks the first connection after so many bytes. */
  breakAfter?: number;
  /** Serves the whole file whatever range is asked for. */
  noRanges?: boolean;
  /** What is served in the place of the content. */
  served?: Uint8Array;
}

/** A request that came. */
export interface SeenRequest {
  host: 'hub' | 'files';
  path: string;
  authorization?: string;
  range?: string;
}

/** Stands for the Hugging Face hub, and for the second host that it sends to for large files. */
export class HubServer {
  readonly commit = '0123456789abcdef0123456789abcdef01234567';
  readonly seen: SeenRequest[] = [];
  /** Status that every request of the API is answered with; none: as it should be. */
  status: number | undefined;
  files: Record<string, ServedFile> = {};
  readonly #hub: Server = createServer((request, response) => this.#answer('hub', request, response));
  readonly #other: Server = createServer((request, response) => this.#answer('files', request, response));
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  async start(): Promise<void> {
    for (const server of [this.#hub, this.#other]) await once(server.listen(0, '127.0.0.1'), 'listening');
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#other]) {
      if (!server.listening) continue;
      server.closeAllConnections();
      await once(server.close(), 'close');
    }
  }

  get endpoint(): string {
    return urlOf(this.#hub);
  }

  #answer(host: SeenRequest['host'], { url = '', headers }: IncomingMessage, response: ServerResponse): void {
    const { pathname: path } = new URL(url, 'http://localhost');
    const { authorization, range } = headers;
    this.seen.push({ host, path, ...(authorization && { authorization }), ...(range && { range }) });
    const json = (value: unknown, status = 200) => {
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
    };
    if (host === 'hub' && this.status !== undefined) {
      json({ error: 'told to' }, this.status);
      return;
    }
    const api = `/api/models/${this.name}`;
    if (path.startsWith(`${api}/revision/`)) {
      const revision = decodeURIComponent(path.slice(`${api}/revision/`.length));
      if (!['main', 'refs/pr/1', this.commit].includes(revision)) {
        json({ error: 'Invalid rev id' }, 404);
        return;
      }
      json({ _id: '1', id: this.name, sha: this.commit, lastModified: '2026-01-01T00:00:00.000Z' });
      return;
    }
    if (path === `${api}/tree/${this.commit}`) {
      json(this.#listing());
      return;
    }
    const prefix = `/${this.name}/resolve/${this.commit}/`;
    const name = path.startsWith(prefix) ? path.slice(prefix.length) : path.slice(1);
    const file = Object.hasOwn(this.files, name) ? this.files[name] : undefined;
    if (!file) {
      json({ error: 'Not found' }, 404);
      return;
    }
    if (host === 'hub' && file.large) {
      response.writeHead(302, { Location: `${urlOf(this.#other)}/${name}`, ETag: '"1"' }).end();
      return;
    }
    this.#serve(file, range, response);
  }

  #serve(file: ServedFile, range: string | undefined, response: ServerResponse): void {
    const bytes = Buffer.from(file.served ?? file.content);
    const isProbe = range === 'bytes=0-0';
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
    if (from === undefined || (file.noRanges && !isProbe)) {
      response.writeHead(200, { ETag: '"1"', 'Content-Length': bytes.length });
      this.#send(file, bytes, isProbe, response);
      return;
    }
    const part = bytes.subarray(Number(from), to ? Number(to) + 1 : undefined);
    const span = `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}`;
    response.writeHead(206, { ETag: '"1"', 'Content-Range': span, 'Content-Length': part.length });
    this.#send(file, part, isProbe, response);
  }

  #send(file: ServedFile, bytes: Buffer, isProbe: boolean, response: ServerResponse): void {
    const { breakAfter } = file;
    if (breakAfter === undefined || isProbe) {
      response.end(bytes);
      return;
    }
    delete file.breakAfter;
    response.write(bytes.subarray(0, breakAfter), () => setTimeout(() => response.destroy(), 100));
  }

  #listing() {
    return Object.entries(this.files).map(([path, { content, large, listed }]) => {
      const bytes = Buffer.from(content);
      const git = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const size = listed?.size ?? bytes.length;
      const oid = listed?.oid ?? (large ? sha256 : git);
      const own = { type: 'file', path: listed?.path ?? path, size };
      return large ? { ...own, oid: git, lfs: { oid, size, pointerSize: 100 } } : { ...own, oid };
    });
  }
}

function urlOf(server: Server): string {
  const address = server.address();
  return typeof address === 'object' && address ? `http://127.0.0.1:${address.port}` : '';
}
