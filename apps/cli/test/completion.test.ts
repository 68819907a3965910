// Completion: bash sources the script and is asked what it would offer; other shells where they are installed.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { bash } from '../src/completion/bash.ts';
import { fish } from '../src/completion/fish.ts';
import { shapeOf } from '../src/completion/shape.ts';
import { zsh } from '../src/completion/zsh.ts';
import { program } from '../src/main.ts';

const folder = mkdtempSync(join(tmpdir(), 'ao-completion-'));
mkdirSync(join(folder, 'models'));
writeFileSync(join(folder, 'text.txt'), '');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const shape = shapeOf(program());
const present = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0;

/** What bash would offer for a line, whose last word is being written. */
function offered(line: string, script = bash(shape)): string[] {
  const words = line.split(' ');
  const ask = [
    script,
    `COMP_WORDS=(${words.map((w) => `'${w}'`).join(' ')}); COMP_CWORD=${words.length - 1}`,
    '_ao_completion',
    `printf "%s\\n" "\${COMPREPLY[@]}"`,
  ];
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-eu', '-c', ask.join('\n')], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return stdout.split('\n').filter((word) => word !== '');
}

describe('bash', () => {
  test('commands, of the whole tree', () => {
    const names = program().commands.map((c) => c.name());
    for (const name of names) expect(offered('ao ')).toContain(name);
    expect(offered('ao ')).toEqual(expect.arrayContaining(['help', '--verbose', '--quiet']));
    expect(offered('ao in')).toEqual(['inspect']);
    expect(offered('ao --verbose in')).toEqual(['inspect']);
    expect(offered('ao help in')).toEqual(['inspect']);
  });

  test.each(program().commands.map((c) => [c.name(), c.options.map((o) => o.long!)] as const))(
    'every option of %s',
    (name, options) => {
      const words = offered(`ao ${name} x --`);
      expect(words).toEqual(expect.arrayContaining([...options, '--help', '--verbose']));
    },
  );

  test('what follows an option: its choices, folders, files, or nothing', () => {
    expect(offered('ao quantize x --device ')).toEqual(['auto', 'cpu', 'cuda', 'reference']);
    expect(offered('ao generate x --dtype b')).toEqual(['bfloat16']);
    expect(offered('ao quantize x -o ')).toEqual(['models']);
    expect(offered('ao eval x --text ')).toEqual(expect.arrayContaining(['models', 'text.txt']));
    expect(offered('ao quantize x --scheme ')).toEqual([]);
    expect(offered('ao completion ')).toEqual(['bash', 'zsh', 'fish']);
    expect(offered('ao inspect ')).toEqual(['stories-7m', 'models']);
  });

  test('a new command is there without any other change', () => {
    const more = program();
    more.command('sing').argument('<song>').option('--loud <level>', "the neighbours' patience");
    const script = bash(shapeOf(more));
    expect(offered('ao si', script)).toEqual(['sing']);
    expect(offered('ao sing --l', script)).toEqual(['--loud']);
    expect(fish(shapeOf(more))).toContain("-l loud -d 'the neighbours\\' patience'");
  });
});

const others = [
  {
    shell: 'zsh',
    script: zsh(shape),
    check: 'autoload -Uz compinit; compinit -u -d /dev/null; source SCRIPT; whence _ao',
  },
  { shell: 'fish', script: fish(shape), check: "source SCRIPT; complete -C 'ao quantize --dev'" },
] as const;

describe.each(others)('$shell', ({ shell, script, check }) => {
  const there = present(shell);
  if (!there) console.log(`skipped: ${shell} is not installed (apt-get install ${shell})`);
  test.skipIf(!there)('takes the script', () => {
    const file = join(folder, `ao.${shell}`);
    writeFileSync(file, script);
    const flags = shell === 'zsh' ? ['-f'] : ['--no-config'];
    const { stdout, stderr } = spawnSync(shell, [...flags, '-c', check.replace('SCRIPT', file)], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(stdout).toContain(shell === 'zsh' ? '_ao' : '--device');
  });

  test('has every command and option', () => {
    for (const { name, options } of shape.commands) {
      expect(script).toContain(name);
      for (const flag of options.flatMap((o) => o.flags)) expect(script).toContain(flag.replace(/^--?/, ''));
    }
  });
});
