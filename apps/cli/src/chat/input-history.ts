// What was typed in earlier chats, newest first as readline has it: a file of lines, oldest first, in $AO_HOME, else
// $XDG_STATE_HOME/ao, else ~/.local/state/ao.
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** Lines that are kept. */
export const HISTORY_SIZE = 1000;

export function historyFile(env: NodeJS.ProcessEnv = process.env): string {
  const folder = env['AO_HOME'] ?? join(env['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state'), 'ao');
  return join(folder, 'chat-history');
}

/** Nothing where there is no file yet. */
export async function readHistory(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .slice(-HISTORY_SIZE)
    .reverse();
}

/** Others may have chatted meanwhile: their lines stay, before these. */
export async function addHistory(file: string, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const all = [...(await readHistory(file)).reverse(), ...lines].slice(-HISTORY_SIZE);
  await mkdir(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, `${all.join('\n')}\n`, { mode: 0o600 });
  await rename(temporary, file);
}
