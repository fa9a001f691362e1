import { expect, it } from 'vitest';
import { parseQueueAddress } from './address.js';

it('a queue is PostgreSQL at a host, and its password is never shown', () => {
  const { url, shown } = parseQueueAddress('postgres://me:s3cret@db.example:5433/sweeps?sslmode=require', '--queue');
  expect(url).toContain('s3cret');
  expect(shown).toBe('PostgreSQL at db.example:5433/sweeps');
  expect(parseQueueAddress('postgresql:///sweeps?host=/run/postgresql', '--queue').shown).toBe(
    'PostgreSQL at /run/postgresql/sweeps',
  );
});

it.each(['mysql://me:s3cret@host/db', 'me:s3cret@host', 'postgres://me:s3cret@host:port/db'])(
  'refuses %s without repeating it',
  (text) => {
    let message = '';
    try {
      parseQueueAddress(text, '--queue');
    } catch (error) {
      message = String(error);
    }
    expect(message).toMatch(/^InputError: --queue: expected postgres:\/\/user@host\/database, found /);
    expect(message).not.toContain('s3cret');
  },
);
