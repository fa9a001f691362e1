import { type FileHandle, open, stat } from 'node:fs/promises';
import { liesWithin, requireWritable } from '../formats/index.js';
import { InputError } from '../registry/index.js';

/** Bytes of a file that tell of what kind it is. */
const HEAD_BYTES = 2 ** 16;

/**
 * Checks, before any work, that a file can be written, and that nothing of another kind lies there.
 *
 * @param options - `what`: the file's kind, for messages; `isOwn`: whether a file that begins so is of it.
 * @throws InputError when it cannot be written, or holds something else.
 */
export async function requireOwnFile(
  path: string,
  { what, isOwn }: { what: string; isOwn: (head: string) => boolean },
): Promise<void> {
  await requireWritable(path, 'file');
  if (!(await stat(path).catch(() => undefined))) return;
  const head = await readHead(path);
  if (head !== '' && !isOwn(head)) {
    throw new InputError(
      `${path}: expected a new file or ${what}, found another file, which is not overwritten; name another one or move it away`,
    );
  }
}

/**
 * Refuses an output inside what is read: it would change the input of the next run.
 *
 * @throws InputError when it lies there.
 */
export async function requireOutside(input: string | undefined, output: string): Promise<void> {
  if (input !== undefined && (await liesWithin(input, output))) {
    throw new InputError(`${output}: expected a place outside ${input}, which is read and not changed`);
  }
}

async function readHead(path: string): Promise<string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { buffer, bytesRead } = await file.read(new Uint8Array(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return new TextDecoder().decode(buffer.subarray(0, bytesRead));
  } catch (error) {
    throw new InputError(`${path}: expected a readable file, ${error instanceof Error ? error.message : error}`);
  } finally {
    await file?.close();
  }
}
