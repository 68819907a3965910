// A whole release against a registry on this machine: every channel, then what a user gets from each, installed in an empty folder.
import { snapshotChangeset } from '../../../../scripts/lib/snapshot.mjs';
import { type Channel, type Published, startRehearsal } from './channels.ts';
import { asCommonJs, type Host } from './hosts.ts';
import { type Folder, install, type Manager, managers, quickStart } from './install.ts';
import { type Registry, startRegistry } from './registry.ts';

export interface Installed {
  readonly channel: Channel;
  readonly manager: Manager;
  readonly asked: readonly string[];
  readonly versions: Readonly<Record<string, string>>;
  /** What README's first program wrote, and what it complained of. */
  readonly text: string;
  readonly complaints: string;
}

export interface Release {
  readonly published: readonly Published[];
  /** Versions of all packages after each step, by the registry's tags. */
  readonly steps: Readonly<Record<Step, Readonly<Record<string, string>>>>;
  readonly installed: readonly Installed[];
  /** As installed, with optional packages omitted: README's two programs; the second demands the device. */
  readonly withoutAddon: { readonly text: string; readonly complaints: string; readonly refusal: string };
  /** As installed, by the one name `@ao/hf-integration`. */
  readonly oneName: { readonly text: string; readonly complaints: string };
  readonly hosted: readonly Hosted[];
  /** What a publish says that is asked for provenance outside a hosted CI: a refusal. */
  readonly provenance: string;
  /** Packages published without the addon of another platform, which was not built here. */
  readonly hollow: readonly string[];
}

/** One program of the quick start on one host. */
export interface Hosted {
  readonly host: string;
  readonly type: 'mjs' | 'cjs';
  readonly program: 'model' | 'layer';
  readonly status: number | null;
  readonly text: string;
  readonly complaints: string;
}

export type Step = 'latest' | 'next' | 'next again' | 'next ended' | 'snapshot';

/** Packages must have been built. `say` hears of each step when it is done; `on` are further programs to run what was installed. */
export async function rehearse(
  say: (line: string) => void = () => undefined,
  on: readonly Host[] = [],
): Promise<Release> {
  await using registry = await startRegistry();
  using rehearsal = startRehearsal(registry);
  const { copy } = rehearsal;
  const published: Published[] = [];
  const steps: Partial<Record<Step, Readonly<Record<string, string>>>> = {};
  const installed: Installed[] = [];
  const publish = async (step: Step, channel: Channel): Promise<void> => {
    const fresh = await rehearsal.publish(channel);
    published.push(...fresh);
    steps[step] = copy.versions();
    say(`${step}: ${fresh.map(({ package: name, version }) => `${name} ${version}`).join(', ')}`);
  };
  const useAll = async (channel: Channel): Promise<void> => {
    for (const manager of managers) {
      installed.push(await use(registry, channel, manager));
      say(`${channel}: installed by ${manager}, the quick start ran`);
    }
  };

  const provenance = rehearsal.provenance();
  copy.changeset('version');
  await publish('latest', 'latest');
  await useAll('latest');

  copy.changeset('pre', 'enter', 'next');
  for (const step of ['next', 'next again'] as const) {
    rehearsal.change({ '@ao/quantization': 'minor', '@ao/kernels-cpu': 'patch' });
    copy.changeset('version');
    await publish(step, 'next');
  }
  await useAll('next');
  copy.changeset('pre', 'exit');
  copy.changeset('version');
  await publish('next ended', 'latest');

  snapshotChangeset(copy.folder);
  copy.changeset('version', '--snapshot', 'snapshot');
  await publish('snapshot', 'snapshot');
  await useAll('snapshot');

  const { packages, model, layer } = quickStart();
  using whole = install('npm', registry, packages);
  const hosted = on.flatMap((host) => runOn(whole, host, { model, layer }));
  const started = (folder: Folder): { text: string; complaints: string } => outcome(folder, model);
  using bare = install('npm', registry, packages, { omitOptional: true });
  const withoutAddon = { ...started(bare), refusal: bare.run(layer).stderr };
  using one = install('npm', registry, ['@ao/hf-integration']);
  return {
    published,
    steps: steps as Record<Step, Readonly<Record<string, string>>>,
    installed,
    withoutAddon,
    oneName: started(one),
    hosted,
    provenance,
    hollow: rehearsal.withoutAddon,
  };
}

function outcome(folder: Folder, program: string): { text: string; complaints: string } {
  const { status, stdout, stderr } = folder.run(program);
  if (status !== 0) throw new Error(`the quick start ended with ${status}\n${stdout}${stderr}`);
  return { text: stdout, complaints: stderr };
}

function runOn(
  folder: Folder,
  { name, program }: Host,
  programs: Readonly<Record<Hosted['program'], string>>,
): Hosted[] {
  if (typeof program !== 'string') return [];
  return (['mjs', 'cjs'] as const).flatMap((type) =>
    (['model', 'layer'] as const).map((which) => {
      const text = type === 'cjs' ? asCommonJs(programs[which]) : programs[which];
      const { status, stdout, stderr } = folder.run(text, program, type);
      return { host: name, type, program: which, status, text: stdout, complaints: stderr };
    }),
  );
}

/** Packages that a channel has are taken from it, the others from latest. */
async function use(registry: Registry, channel: Channel, manager: Manager): Promise<Installed> {
  const { packages, model } = quickStart();
  const asked = await Promise.all(
    packages.map(async (name) =>
      channel in (await registry.packument(name))['dist-tags'] ? `${name}@${channel}` : `${name}@latest`,
    ),
  );
  using folder = install(manager, registry, asked);
  return { channel, manager, asked, versions: folder.versions, ...outcome(folder, model) };
}
