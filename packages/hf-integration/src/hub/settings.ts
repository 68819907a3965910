// hubSettings(): where the hub, its cache and the token are, from the variables that huggingface_hub reads:
//   HF_ENDPOINT, HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT,
//   HF_HUB_DISABLE_XET. They are read at each call, so that a change counts at once.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { AoError } from '@ao/core';

export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string;
  /** The folder of `models--org--name`. */
  readonly cache: string;
  readonly token: string | undefined;
  readonly offline: boolean;
  /** Milliseconds without a byte, after which a connection counts as cut. */
  readonly timeout: number;
  readonly xet: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const ON = new Set(['1', 'on', 'yes', 'true']);

export function hubSettings(env: Environment = process.env): HubSettings {
  const home =
    folder(env, env['HF_HOME']) ?? join(folder(env, env['XDG_CACHE_HOME']) ?? join(homedir(), '.cache'), 'huggingface');
  const on = (name: string): boolean => ON.has((env[name] ?? '').toLowerCase());
  return {
    endpoint: endpointOf(env['HF_ENDPOINT'] || 'https://huggingface.co'),
    cache: folder(env, env['HF_HUB_CACHE']) ?? folder(env, env['HUGGINGFACE_HUB_CACHE']) ?? join(home, 'hub'),
    token:
      text(env['HF_TOKEN']) ??
      text(env['HUGGING_FACE_HUB_TOKEN']) ??
      fileText(folder(env, env['HF_TOKEN_PATH']) ?? join(home, 'token')),
    offline: on('HF_HUB_OFFLINE') || on('TRANSFORMERS_OFFLINE'),
    timeout: 1000 * seconds(env, 'HF_HUB_DOWNLOAD_TIMEOUT', 10),
    xet: !on('HF_HUB_DISABLE_XET'),
  };
}

function endpointOf(value: string): string {
  if (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return value.replace(/\/+$/, '');
  throw new AoError('ERR_AO_CONFIG', `HF_ENDPOINT is '${value}'`, { fix: 'give a URL such as https://huggingface.co' });
}

/** `~` and $VARIABLES as Python expands them. */
function folder(env: Environment, value: string | undefined): string | undefined {
  if (!value) return undefined;
  const expanded = value.replace(/\$(?:\{(\w+)\}|(\w+))/g, (whole, a, b) => env[a ?? b] ?? whole);
  return resolve(expanded.replace(/^~(?=$|[\\/])/, homedir()));
}

function text(value: string | undefined): string | undefined {
  return value?.trim() || undefined;
}

function fileText(path: string): string | undefined {
  try {
    return text(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function seconds(env: Environment, name: string, fallback: number): number {
  const value = Number(env[name] || fallback);
  if (Number.isFinite(value) && value > 0) return value;
  throw new AoError('ERR_AO_CONFIG', `${name} is '${env[name]}'`, { fix: 'give seconds, a number above 0' });
}
