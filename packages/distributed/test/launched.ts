// Runs a file of ranks/ by the launcher and gives what each rank told.
import { fileURLToPath } from 'node:url';
import { launch } from '../src/index.ts';

export interface Ran<T> {
  readonly code: number;
  /** By rank. */
  readonly told: T[];
  /** All that was written, and what the launcher said. */
  readonly text: string;
}

export async function launched<T>(
  name: string,
  nproc: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Ran<T>> {
  const outputs = Array.from({ length: nproc }, () => '');
  let said = '';
  const { code } = await launch({
    nproc,
    env,
    script: fileURLToPath(new URL(`./ranks/${name}.ts`, import.meta.url)),
    execArgv: ['--conditions=@ao/source'],
    onOutput: (rank, text) => {
      outputs[rank] += text;
    },
    say: (message) => {
      said += `${message}\n`;
    },
  });
  const told = outputs.flatMap((output) =>
    output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .slice(-1)
      .map((line) => JSON.parse(line) as T),
  );
  return { code, told, text: said + outputs.join('') };
}
