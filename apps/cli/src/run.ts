// The entry of the command line: parses, runs, and tells how it ended.
import { CommanderError } from 'commander';
import { EXIT, fail } from './exit.ts';
import { program } from './main.ts';

// a reader that has seen enough, as in `ao inspect DIR | head`, ends the command quietly
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT.ok);
});

try {
  await program().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  else fail(error);
}
