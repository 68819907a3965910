// Where ranks meet before they have collectives: rank 0 listens, each rank (0 too) connects, and `exchange` gives every rank what all gave, in
// order of ranks. Messages are lines of JSON. A rank that is gone fails every exchange that still waits for it, by name.
import { createServer, type Server, type Socket, connect as tcp } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AoError } from '@ao/core';
import type { LaunchEnvironment } from './environment.ts';

export interface Rendezvous {
  /** What every rank gave under `tag`, by rank; rejects with ERR_AO_DEVICE naming the rank that did not come. */
  exchange(tag: string, mine: string): Promise<string[]>;
  /** This end of the connection to rank 0: where other ranks reach this machine. */
  readonly host: string;
  close(): void;
}

interface Message {
  readonly tag: string;
  readonly rank: number;
  readonly size: number;
  readonly data: string;
}

type Answer = { readonly tag: string } & ({ readonly all: string[] } | { readonly error: string });

const failed = (message: string): AoError =>
  new AoError('ERR_AO_DEVICE', message, {
    op: 'initProcessGroup',
    fix: 'look at the output of that rank; start all ranks with one launcher, equal sizes and one MASTER_ADDR and MASTER_PORT',
  });

function onLines(socket: Socket, line: (text: string) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    lines.forEach(line);
  });
}

const say = (socket: Socket, message: Message | Answer): void =>
  void (socket.writable && socket.write(`${JSON.stringify(message)}\n`));

/** Rank 0's side: collects what ranks give. */
function serve(size: number): Server {
  const tables = new Map<string, Map<number, { readonly socket: Socket; readonly data: string }>>();
  const gone = new Map<number, string>();
  const refuse = (tag: string, error: string): void => {
    for (const { socket } of tables.get(tag)?.values() ?? []) say(socket, { tag, error });
    tables.delete(tag);
  };
  const server = createServer((socket) => {
    let known: number | undefined;
    onLines(socket, (text) => {
      let m: Message;
      try {
        m = JSON.parse(text) as Message;
      } catch {
        return void socket.destroy();
      }
      known = m.rank;
      const table = tables.get(m.tag) ?? new Map();
      tables.set(m.tag, table);
      if (m.size !== size)
        return say(socket, { tag: m.tag, error: `rank ${m.rank} is of ${m.size} ranks, rank 0 of ${size}` });
      if (table.has(m.rank)) return say(socket, { tag: m.tag, error: `two processes are rank ${m.rank}` });
      table.set(m.rank, { socket, data: m.data });
      const [lost] = gone.values();
      if (lost !== undefined) return refuse(m.tag, lost);
      if (table.size < size) return;
      const all = Array.from({ length: size }, (_, rank) => table.get(rank)!.data);
      for (const one of table.values()) say(one.socket, { tag: m.tag, all });
      tables.delete(m.tag);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (known === undefined) return;
      gone.set(known, `rank ${known} of ${size} left`);
      for (const tag of [...tables.keys()]) refuse(tag, gone.get(known)!);
    });
    socket.unref();
  });
  server.unref();
  return server;
}

const listen = (server: Server, { port, address }: LaunchEnvironment): Promise<void> =>
  new Promise((done, reject) => {
    server.once('error', (e) => reject(failed(`rank 0 cannot listen on port ${port}: ${e.message}`)));
    const alone = address === 'localhost' || address === '127.0.0.1';
    server.listen({ port, host: alone ? '127.0.0.1' : '0.0.0.0' }, done);
  });

async function reach({ rank, size, address, port }: LaunchEnvironment, timeout: number): Promise<Socket> {
  const end = performance.now() + timeout * 1000;
  for (;;) {
    const socket = tcp({ port, host: address, family: 4 });
    const problem = await new Promise<Error | null>((done) => {
      socket.once('connect', () => done(null)).once('error', done);
    });
    if (problem === null) return socket;
    socket.destroy();
    if (performance.now() > end)
      throw failed(
        `rank ${rank} of ${size} cannot reach rank 0 at ${address}:${port} for ${timeout} s: ${problem.message}`,
      );
    await sleep(30);
  }
}

/** Connects to rank 0, which is this process where rank is 0; `timeout` in seconds, of this and of each exchange. */
export async function rendezvous(env: LaunchEnvironment, timeout: number): Promise<Rendezvous> {
  const { rank, size } = env;
  const server = rank === 0 ? serve(size) : undefined;
  if (server !== undefined) await listen(server, env);
  const socket = await reach(env, timeout);
  socket.setNoDelay(true);
  socket.unref();
  const waiting = new Map<string, (answer: Answer) => void>();
  const end = (error: string): void => {
    for (const [tag, settle] of [...waiting]) settle({ tag, error });
  };
  onLines(socket, (text) => {
    const answer = JSON.parse(text) as Answer;
    waiting.get(answer.tag)?.(answer);
  });
  socket.on('error', () => {});
  socket.on('close', () => end('rank 0 left'));
  return {
    host: socket.localAddress ?? '127.0.0.1',
    exchange: (tag, data) =>
      new Promise((resolve, reject) => {
        socket.ref();
        const late = setTimeout(
          () => waiting.get(tag)?.({ tag, error: `not all of ${size} ranks came for ${timeout} s` }),
          timeout * 1000,
        );
        waiting.set(tag, (answer) => {
          clearTimeout(late);
          waiting.delete(tag);
          if (waiting.size === 0) socket.unref();
          if ('all' in answer) resolve(answer.all);
          else reject(failed(`rank ${rank} of ${size}, ${tag}: ${answer.error}`));
        });
        if (socket.destroyed) end('rank 0 left');
        else say(socket, { tag, rank, size, data });
      }),
    close() {
      socket.end();
      server?.close();
    },
  };
}
