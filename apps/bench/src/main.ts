// pnpm bench cpu | schemes | peers | report: see USAGE.
import { parse, USAGE, UsageError } from './arguments.ts';

try {
  const command = parse(process.argv.slice(2));
  if (command.name === 'help') process.stdout.write(USAGE);
  else if (command.name === 'cpu' || command.name === 'schemes') await (await import('./commands/cpu.ts')).cpu(command);
  else if (command.name === 'peers') await (await import('./peers/install.ts')).install(command.parts);
  else await (await import('./report/report.ts')).report();
} catch (error) {
  const usage = error instanceof UsageError;
  process.stderr.write(`bench: ${usage ? error.message : (error as Error).stack}\n`);
  process.exitCode = usage ? 2 : 1;
}
