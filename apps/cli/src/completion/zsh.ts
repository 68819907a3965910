// zsh(shape): a completion function for zsh, to be evaluated or put into a folder of $fpath as _ao.
import type { CommandShape, OptionShape, Shape, Values } from './shape.ts';

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const plain = (text: string): string => text.replace(/[[\]:\\]/g, (c) => `\\${c}`);

function action({ kind, words }: Values): string {
  if (kind === 'words') return `(${words.join(' ')})`;
  if (kind === 'free') return ' ';
  return kind === 'folders' ? '_files -/' : '_files';
}

function option({ flags, description, values }: OptionShape): string {
  const what = `[${plain(description)}]${values === undefined ? '' : `:value:${action(values)}`}`;
  const repeat = /repeatable/.test(description) ? '*' : `(${flags.join(' ')})`;
  return flags.map((flag) => quote(`${repeat}${flag}${what}`)).join(' ');
}

function branch({ name, options, argument }: CommandShape): string {
  const rest = argument === undefined ? '' : ` ${quote(`1:argument:${action(argument)}`)}`;
  return `        ${name}) _arguments ${options.map(option).join(' ')}${rest} ;;`;
}

export function zsh({ name, commands, options }: Shape): string {
  const list = commands.map((c) => quote(`${c.name}:${plain(c.description)}`)).join(' ');
  return `#compdef ${name}
# Completion of ${name} for zsh: eval "$(${name} completion zsh)"
_${name}() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C ${options.map(option).join(' ')} '1: :->command' '*:: :->rest'
  case $state in
    command)
      local -a commands=(${list})
      _describe command commands ;;
    rest)
      case $words[1] in
${commands.map(branch).join('\n')}
      esac ;;
  esac
}
if [ "$funcstack[1]" = _${name} ]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}
