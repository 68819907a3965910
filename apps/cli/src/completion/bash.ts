// bash(shape): a completion function for bash 3.2 and newer, with nothing else installed.
import type { CommandShape, Shape, Values } from './shape.ts';

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const words = (list: readonly string[]): string => `compgen -W ${quote(list.join('\n'))} -- "$cur"`;

function candidates({ kind, words: list }: Values): string {
  const own = list.length > 0 ? [words(list)] : [];
  const names = kind === 'folders' ? ['compgen -d -- "$cur"'] : kind === 'files' ? ['compgen -f -- "$cur"'] : [];
  return [...own, ...names].join('; ') || ':';
}

function branch(command: CommandShape): string {
  const flags = command.options.flatMap((o) => o.flags);
  const values = command.options.flatMap((o) =>
    o.values === undefined ? [] : [`        ${o.flags.join('|')}) ${candidates(o.values)}; return ;;`],
  );
  const lines = [
    `    ${command.name})`,
    ...(values.length > 0 ? ['      case "$prev" in', ...values, '      esac'] : []),
    '      case "$cur" in',
    `        -*) ${words(flags)} ;;`,
    `        *) ${command.argument === undefined ? words(flags) : candidates(command.argument)} ;;`,
    '      esac ;;',
  ];
  return lines.join('\n');
}

export function bash({ name, commands, options }: Shape): string {
  const names = commands.map((c) => c.name);
  const flags = options.flatMap((o) => o.flags);
  return `# Completion of ${name} for bash: eval "$(${name} completion bash)"
_${name}_candidates() {
  local cur="$1" prev="$2" command="$3" IFS=$'\\n'
  case "$command" in
${commands.map(branch).join('\n')}
    *) ${words([...names, ...flags])} ;;
  esac
}
_${name}_completion() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" command= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      ${names.join('|')}) command="\${COMP_WORDS[i]}"; break ;;
    esac
  done
  local IFS=$'\\n'
  COMPREPLY=($(_${name}_candidates "$cur" "$prev" "$command" || true))
  # names of folders are quoted, and get a slash instead of a blank
  if [ -d "\${COMPREPLY[0]-}" ]; then compopt -o filenames 2>/dev/null || true; fi
  return 0
}
complete -F _${name}_completion ${name}
`;
}
