// The command line, checked before any work.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { PARTS, type Part } from './peers/where.ts';
import type { PeerName } from './suite.ts';

export const USAGE = `pnpm bench cpu      measures the cpu kernels and models, against peers that are installed
  --peers llama,ort,torchao   only these (default: all that are there)
  --only REGEX                only rows whose id matches; --list shows the ids
  --threads N                 CPU threads of both sides (default: all)
  --repeats N                 counted rounds after one that warms up (default 5)
  --json                      the results as JSON on stdout and nothing else
  --out FOLDER                where the JSON of the run goes (default apps/bench/results)
  --publish                   also keep it as what README's table and plot are made of, and make them
pnpm bench schemes  perplexity, bits per weight and speed of every scheme, with the same options; --publish makes
                    packages/quantization/MEASURED.md
pnpm bench peers [llama,ort,torchao,models]   installs peers and models into $AO_CACHE (default ~/.cache/ao-peers)
pnpm bench report                             makes README's table and the plot from the published results
`;

export class UsageError extends Error {}

const PEER_NAMES: readonly PeerName[] = ['llama', 'ort', 'torchao'];

export interface CpuCommand {
  readonly name: 'cpu' | 'schemes';
  readonly peers: readonly PeerName[];
  readonly only: RegExp;
  readonly threads: number;
  readonly repeats: number;
  readonly json: boolean;
  readonly list: boolean;
  readonly publish: boolean;
  readonly out?: string;
}

export type Command =
  | CpuCommand
  | { readonly name: 'peers'; readonly parts: readonly Part[] }
  | { readonly name: 'report' }
  | { readonly name: 'help' };

export function parse(args: readonly string[]): Command {
  const { values, positionals } = read(args);
  const [name, ...rest] = positionals;
  if (values.help || name === undefined || name === 'help') return { name: 'help' };
  if (name === 'peers') return { name, parts: rest.length === 0 ? PARTS : rest.flatMap((r) => names(r, PARTS)) };
  if (rest.length > 0) throw new UsageError(`unexpected ${rest.join(' ')}\n${USAGE}`);
  if (name === 'report') return { name };
  if (name !== 'cpu' && name !== 'schemes') throw new UsageError(`unknown command ${name}\n${USAGE}`);
  return {
    name,
    peers: values.peers === undefined ? PEER_NAMES : names(values.peers, PEER_NAMES),
    only: pattern(values.only ?? ''),
    threads: count('threads', values.threads, availableParallelism()),
    repeats: count('repeats', values.repeats, 5),
    json: values.json === true,
    list: values.list === true,
    publish: values.publish === true,
    ...(values.out === undefined ? {} : { out: values.out }),
  };
}

function read(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        peers: { type: 'string' },
        only: { type: 'string' },
        threads: { type: 'string' },
        repeats: { type: 'string' },
        out: { type: 'string' },
        json: { type: 'boolean' },
        list: { type: 'boolean' },
        publish: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n${USAGE}`);
  }
}

function names<N extends string>(text: string, known: readonly N[]): readonly N[] {
  return text.split(',').map((name) => {
    const found = known.find((k) => k === name);
    if (found === undefined) throw new UsageError(`unknown peer '${name}'; there are ${known.join(', ')}`);
    return found;
  });
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new UsageError(`--only: ${(error as Error).message}`);
  }
}

function count(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new UsageError(`--${option} ${text}: it must be a whole number from 1`);
}
