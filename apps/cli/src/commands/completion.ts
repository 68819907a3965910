// ao completion SHELL: the script that makes a shell complete ao's commands and options. It is written from commander's own
// tree each time it is asked for, so `eval "$(ao completion bash)"` in a start-up file is never stale.
import type { Command } from 'commander';
import { bash } from '../completion/bash.ts';
import { fish } from '../completion/fish.ts';
import { shapeOf } from '../completion/shape.ts';
import { zsh } from '../completion/zsh.ts';

const SHELLS = { bash, zsh, fish } as const;

export function completion(shell: keyof typeof SHELLS, program: Command): void {
  process.stdout.write(SHELLS[shell](shapeOf(program)));
}
