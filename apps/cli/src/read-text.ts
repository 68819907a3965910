// readText(file): the text of a file that the command line names, or wrong use that says which and why.
import { readFile } from 'node:fs/promises';
import { UsageError } from './exit.ts';

/** `option` is the flag that gave the file, where its name is not told otherwise. */
export const readText = (file: string, option?: string): Promise<string> =>
  readFile(file, 'utf8').catch((error: Error) => {
    const what = option === undefined ? file : `${option} ${file}`;
    throw new UsageError(`${what} cannot be read: ${error.message}`, { cause: error });
  });
