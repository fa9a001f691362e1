import { InputError } from '../registry/index.js';

/** Where a queue's PostgreSQL is. */
export interface QueueAddress {
  /** `postgres://user:password@host/database`: may hold a password, so it is never shown or written. */
  readonly url: string;
  /** The same for people: host, port and database alone. */
  readonly shown: string;
}

/**
 * Reads the address of a queue.
 *
 * @param source - Where it was given, for the message, which never repeats what came: it may hold a password.
 * @throws InputError when it is no PostgreSQL URL.
 */
export function parseQueueAddress(text: string, source: string): QueueAddress {
  const fail = (found: string): never => {
    throw new InputError(`${source}: expected postgres://user@host/database, found ${found} (not shown)`);
  };
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return fail('no URL');
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') return fail('a URL of another kind');
  const host = url.hostname || url.searchParams.get('host') || 'localhost';
  const database = decodeURIComponent(url.pathname.slice(1));
  return { url: text, shown: `PostgreSQL at ${host}${url.port && `:${url.port}`}${database && `/${database}`}` };
}
