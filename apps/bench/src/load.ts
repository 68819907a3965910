// How many CPUs other work keeps busy, between two readings of /proc: (busy time of all CPUs - that of this process, its
// children and theirs) / time. Unlike the load average it knows own work from foreign, and has no memory.
import { readdirSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';

/** In clock ticks, summed over CPUs where it says all. */
export interface Reading {
  readonly busy: number;
  readonly all: number;
  readonly own: number;
  readonly cpus: number;
}

/** undefined where there is no /proc. */
export function readLoad(): Reading | undefined {
  try {
    const stat = readFileSync('/proc/stat', 'utf8');
    // user nice system idle iowait irq softirq steal; guests are counted in user already
    const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] = numbers(
      stat.slice(0, stat.indexOf('\n')),
    );
    const busy = user + nice + system + irq + soft;
    return { busy, all: busy + idle + wait + steal, own: ownTicks(), cpus: stat.match(/^cpu\d/gm)?.length ?? 1 };
  } catch {
    return undefined;
  }
}

/** Shorter than this, in ticks a CPU, the counters' own steps are most of what is seen. */
const LEAST = 50;

/** undefined when hardly any time has passed. */
export function foreignCpus(from: Reading, to: Reading): number | undefined {
  const all = to.all - from.all;
  if (all < LEAST * to.cpus) return undefined;
  return Math.max(0, (to.cpus * (to.busy - from.busy - (to.own - from.own))) / all);
}

/** The one-minute load average. */
export function loadAverage(): number {
  return loadavg()[0]!;
}

/** Ticks of this process, of those that descend from it, and of their descendants that have ended. */
function ownTicks(): number {
  const processes = new Map<number, { parent: number; ticks: number }>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // the command, in parentheses, may hold anything: fields are counted after it
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
      processes.set(Number(name), { parent: Number(fields[1]), ticks });
    } catch {
      // it ended meanwhile
    }
  }
  let sum = 0;
  for (const [pid, { ticks }] of processes) {
    for (let at: number | undefined = pid; at !== undefined && at > 0; at = processes.get(at)?.parent) {
      if (at !== process.pid) continue;
      sum += ticks;
      break;
    }
  }
  return sum;
}

function numbers(line: string): number[] {
  return line.trim().split(/\s+/).slice(1).map(Number);
}
