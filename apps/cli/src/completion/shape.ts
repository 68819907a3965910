// shapeOf(program): commands, options and what follows them, as commander has them: what shells complete.
import type { Argument, Command, Option } from 'commander';

/** What comes after an option or as an argument: fixed words, names of the file system, or anything. */
export interface Values {
  readonly kind: 'words' | 'folders' | 'files' | 'free';
  readonly words: readonly string[];
}

export interface OptionShape {
  /** '-o', '--output'. */
  readonly flags: readonly string[];
  readonly description: string;
  /** undefined: a switch. */
  readonly values: Values | undefined;
}

export interface CommandShape {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionShape[];
  readonly argument: Values | undefined;
}

export interface Shape extends CommandShape {
  readonly commands: readonly CommandShape[];
}

/** By the name in `<folder>`; a model is a folder, or what is bundled. */
const KINDS: Readonly<Record<string, Values>> = {
  folder: { kind: 'folders', words: [] },
  file: { kind: 'files', words: [] },
  model: { kind: 'folders', words: ['stories-7m'] },
};
const FREE: Values = { kind: 'free', words: [] };

const valuesOf = (name: string, choices: readonly string[] | undefined): Values =>
  choices ? { kind: 'words', words: choices } : (KINDS[name] ?? FREE);

function optionOf(option: Option): OptionShape {
  const name = /[<[](\w+)/.exec(option.flags)?.[1];
  return {
    flags: [option.short, option.long].filter((flag) => flag !== undefined && flag !== null),
    description: option.description,
    values: name === undefined ? undefined : valuesOf(name, option.argChoices),
  };
}

function commandOf(command: Command): CommandShape {
  const [first] = command.registeredArguments as readonly (Argument & { argChoices?: string[] })[];
  return {
    name: command.name(),
    description: command.description(),
    options: command.createHelp().visibleOptions(command).map(optionOf),
    argument: first && valuesOf(first.name(), first.argChoices),
  };
}

export function shapeOf(program: Command): Shape {
  const global = commandOf(program);
  const help = program.createHelp();
  const commands = help.visibleCommands(program).map((command): CommandShape => {
    const own = commandOf(command);
    const flags = new Set(own.options.flatMap((o) => o.flags));
    // options of the program stand after a command too
    const more = global.options.filter(
      (o) => !o.flags.some((flag) => flags.has(flag)) && !o.flags.includes('--version'),
    );
    return { ...own, options: [...own.options, ...more] };
  });
  const names = commands.map((c) => c.name);
  return {
    ...global,
    commands: commands.map((c) => (c.name === 'help' ? { ...c, argument: { kind: 'words', words: names } } : c)),
  };
}
