import { fileErrorCode } from '../../formats/index.js';
import { InputError, quote } from '../../registry/index.js';
import type { HubId } from './id.js';

/** Where the hub is, who asks, and where its files are kept. */
export interface HubSettings {
  /** URL of the hub: `https://huggingface.co`. */
  readonly endpoint: string;
  /** Sent to the hub, to no other host; for models that are not public. */
  readonly token?: string;
  /** Cache folder, laid out as that of huggingface_hub. */
  readonly cache: string;
  /** Whether to ask no one and to do with the cache. */
  readonly offline: boolean;
}

/** A file of a repository. */
export interface HubFile {
  /** Path in it. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** SHA-256 of a large file, Git's SHA-1 of a small one, in hexadecimal: the name of its blob in the cache. */
  readonly etag: string;
}

/** The hub cannot be reached, or is not to be asked. */
export class HubUnreachable extends InputError {}

/** What every request of the library takes. */
interface Params {
  readonly hubUrl: string;
  readonly accessToken?: string;
  readonly fetch: typeof fetch;
}

/** More files than any model has. */
const MAX_FILES = 20_000;

/** Asks the hub about one model. All errors are of one line that names it. */
export class HubClient {
  readonly id: HubId;
  readonly #settings: HubSettings;
  readonly #signal: AbortSignal;

  constructor(id: HubId, settings: HubSettings, signal: AbortSignal) {
    this.id = id;
    this.#settings = settings;
    this.#signal = signal;
  }

  /** The commit that the revision is at now. */
  async commit(): Promise<string> {
    const { name, revision } = this.id;
    const { sha } = await this.#ask((params, { modelInfo }) =>
      modelInfo({ ...params, name, revision, additionalFields: ['sha'] }),
    );
    if (/^[0-9a-f]{40}$/.test(String(sha))) return String(sha);
    throw new InputError(
      `${name}: expected a commit of 40 hexadecimal digits from the hub, found ${quote(String(sha))}`,
    );
  }

  /** All files of a commit. */
  async files(commit: string): Promise<HubFile[]> {
    const { name } = this.id;
    return this.#ask(async (params, { listFiles }) => {
      const files: HubFile[] = [];
      for await (const { type, path, size, oid, lfs } of listFiles({
        ...params,
        repo: name,
        revision: commit,
        recursive: true,
      })) {
        if (type !== 'file') continue;
        const etag = lfs?.oid ?? oid ?? '';
        if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(etag) || !Number.isSafeInteger(size) || files.length === MAX_FILES) {
          throw new InputError(`${name}: expected a listing with sizes and digests from the hub, found something else`);
        }
        // A path is put into URLs and below the cache.
        if (!/^[^/\\?#%]+(\/[^/\\?#%]+)*$/.test(path) || path.split('/').includes('..')) {
          throw new InputError(`${name}: expected file names inside the repository from the hub, found ${quote(path)}`);
        }
        files.push({ path, size: lfs?.size ?? size, etag });
      }
      return files;
    });
  }

  /** Asks for a file of a commit from one of its bytes on. */
  async open(path: string, commit: string, from: number): Promise<Response> {
    return this.#ask(async (params, { fileDownloadInfo, HubApiError }) => {
      const info = await fileDownloadInfo({ ...params, repo: this.id.name, path, revision: commit });
      if (!info)
        throw new InputError(`${this.id.name}: expected a file ${quote(path)}, which the hub lists, found none`);
      const headers = { ...this.#authorization(), ...(from > 0 && { Range: `bytes=${from}-` }) };
      const response = await params.fetch(info.url, { headers });
      if (response.ok) return response;
      throw new HubApiError(info.url, response.status);
    });
  }

  #authorization(): Record<string, string> {
    const { token } = this.#settings;
    return token === undefined ? {} : { Authorization: `Bearer ${token}` };
  }

  async #ask<T>(request: (params: Params, hub: typeof import('@huggingface/hub')) => Promise<T>): Promise<T> {
    const { endpoint, token, offline } = this.#settings;
    if (offline) throw this.unreachable('HF_HUB_OFFLINE is set');
    try {
      // Where no one asks for the hub, nothing of it is loaded.
      const hub = await import('@huggingface/hub');
      const own = token === undefined ? {} : { accessToken: token };
      return await request({ hubUrl: endpoint, ...own, fetch: this.#fetch }, hub);
    } catch (error) {
      throw this.explained(error);
    }
  }

  /** A request that ends with the command, and gives the token to the hub alone, whatever URL a redirect or an answer names. */
  readonly #fetch: typeof fetch = async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init.headers);
    if (url.origin !== new URL(this.#settings.endpoint).origin) headers.delete('Authorization');
    return fetch(url, { ...init, headers, signal: this.#signal });
  };

  /** What an error of a request means to the user. */
  explained(error: unknown): unknown {
    if (this.#signal.aborted) return this.#signal.reason;
    if (error instanceof InputError) return error;
    const { name, revision } = this.id;
    const { endpoint } = this.#settings;
    if (error instanceof Error && 'statusCode' in error) {
      return new InputError(`${name}: ${this.#refusal(Number(error.statusCode))}`);
    }
    // The library checks it before it asks.
    if (error instanceof TypeError && error.message.includes("start with 'hf_'")) {
      return new InputError('HF_TOKEN: expected a token of the hub, which begins with hf_');
    }
    if (error instanceof TypeError) return this.unreachable(reasonOf(error));
    return new InputError(
      `${name}@${revision}: expected an answer of the hub at ${endpoint}, found ${reasonOf(error)}`,
    );
  }

  #refusal(status: number): string {
    const { name, revision } = this.id;
    const { endpoint, token } = this.#settings;
    const page = `${endpoint}/${name}`;
    const without = 'HF_TOKEN is not set';
    if (status === 401) {
      const who = token === undefined ? without : 'HF_TOKEN is not accepted';
      return `expected a model of the hub, found none, or one that is not public, and ${who} (status 401)`;
    }
    if (status === 403) {
      const who = token === undefined ? without : 'the account of HF_TOKEN has none';
      return `expected access to this model, ${who}; ask for it at ${page} (status 403)`;
    }
    if (status === 404)
      return `expected a model of the hub with a revision ${quote(revision)}, found none at ${page} (status 404)`;
    return `expected an answer of the hub at ${endpoint}, found status ${status}; try it again later`;
  }

  /** The error of a machine that cannot ask: what to do instead. */
  unreachable(reason: string): HubUnreachable {
    const { name, revision } = this.id;
    const at = revision === 'main' ? '' : ` --revision ${revision}`;
    return new HubUnreachable(
      `${name}: expected a model directory, found none here, and the hub at ${this.#settings.endpoint} cannot be reached (${reason}); ` +
        `on a machine with a network run "hf download ${name}${at} --local-dir model", copy that folder here and give its path`,
    );
  }
}

/** The cause that a failed request names: ENOTFOUND, ECONNREFUSED. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return fileErrorCode(cause) ?? (cause instanceof Error ? cause.message : String(cause));
}
