import type { QueueAddress } from './address.js';

/** What a queue needs of a database: statements with values, or several statements without. */
export interface Database {
  /** Runs a statement. */
  executeSql(text: string, values?: readonly unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
  /** Lets go of it. */
  close(): Promise<void>;
}

/**
 * Opens PostgreSQL at an address, or one that lives in this process and its memory. What is in the latter is lost with the
 * process, and may be: what jobs found is not kept in the queue.
 *
 * @param onError - Hears of connections that break while nothing is asked of them.
 */
export async function openDatabase(
  address: QueueAddress | undefined,
  onError: (error: Error) => void,
): Promise<Database> {
  return address ? openPostgres(address, onError) : openEmbedded();
}

async function openPostgres({ url }: QueueAddress, onError: (error: Error) => void): Promise<Database> {
  const { default: pg } = await import('pg');
  // Few connections each, so that many workers fit into the hundred that PostgreSQL has.
  const pool = new pg.Pool({
    connectionString: url,
    max: 2,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    application_name: 'weightlock',
  });
  pool.on('error', onError);
  return {
    executeSql: async (text, values) => {
      const client = await pool.connect();
      // Of a connection that breaks now, the statement hears.
      const ignore = () => undefined;
      client.on('error', ignore);
      try {
        const found = await client.query<Record<string, unknown>>(text, values as unknown[] | undefined);
        client.off('error', ignore);
        client.release();
        return found;
      } catch (error) {
        // Not used again: a failed transaction of several statements stays open in it.
        client.release(true);
        throw error;
      }
    },
    close: () => pool.end(),
  };
}

async function openEmbedded(): Promise<Database> {
  const { PGlite } = await import('@electric-sql/pglite');
  const database = await PGlite.create();
  return {
    executeSql: async (text, values) => {
      // Only without values may there be several statements.
      if (values && values.length > 0) return database.query<Record<string, unknown>>(text, [...values]);
      return (await database.exec(text)).at(-1) ?? { rows: [] };
    },
    close: () => database.close(),
  };
}
