// fish(shape): completions of fish, one line for each command and option.
import type { CommandShape, OptionShape, Shape, Values } from './shape.ts';

const quote = (text: string): string => `'${text.replace(/[\\']/g, (c) => `\\${c}`)}'`;

function follows(values: Values | undefined): string {
  if (values === undefined) return '';
  const { kind, words } = values;
  if (kind === 'files') return ' -r -F';
  if (kind === 'free') return ' -x';
  const folders = kind === 'folders' ? ['(__fish_complete_directories)'] : [];
  return ` -x -a ${quote([...words, ...folders].join(' '))}`;
}

function option(start: string, { flags, description, values }: OptionShape): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)).join(' ');
  return `${start} ${names} -d ${quote(description)}${follows(values)}`;
}

function branch(program: string, { name, description, options, argument }: CommandShape): string[] {
  const start = `complete -c ${program} -n '__fish_seen_subcommand_from ${name}'`;
  return [
    `complete -c ${program} -n __fish_use_subcommand -a ${name} -d ${quote(description)}`,
    ...options.map((o) => option(start, o)),
    ...(argument === undefined ? [] : [`${start}${follows(argument).replace(' -x', '')}`]),
  ];
}

export function fish({ name, commands, options }: Shape): string {
  const start = `complete -c ${name} -n __fish_use_subcommand`;
  const lines = [
    `# Completion of ${name} for fish: ${name} completion fish > ~/.config/fish/completions/${name}.fish`,
    `complete -c ${name} -f`,
    ...options.map((o) => option(start, o)),
    ...commands.flatMap((c) => branch(name, c)),
  ];
  return `${lines.join('\n')}\n`;
}
