// refusal(): what a hub's answer of 4xx or 5xx means, and what would help. Hubs tell cases apart by the header X-Error-Code;
// they answer 401 for what does not exist too, where no token came along. Neither token nor query strings (signed addresses)
// enter a message.
import { AoError } from '@ao/core';
import type { Hub } from './hub.ts';

/** `path`: the file asked for; absent where the question was about the repository. */
export function refusal(hub: Hub, status: number, headers: Headers, path?: string): AoError {
  const { repo, revision, endpoint, token } = hub;
  const code = headers.get('x-error-code') ?? '';
  const said = (headers.get('x-error-message') ?? '').slice(0, 300);
  const page = `${endpoint}/${repo}`;
  const error = (message: string, fix: string): AoError =>
    new AoError('ERR_AO_CONFIG', withoutToken(message, token), { fix });
  const renew = `make a token that may read it at ${endpoint}/settings/tokens and set HF_TOKEN`;

  if (code === 'GatedRepo' || (status === 403 && /gated|restricted/i.test(said))) {
    return error(
      `${repo} is gated: ${token ? 'the account of this token has no access' : 'it needs a token of an account with access'}`,
      token
        ? `accept its conditions on ${page} with the token's account`
        : `accept its conditions on ${page}, then ${renew}`,
    );
  }
  if (code === 'RevisionNotFound') {
    return error(
      `${repo} has no revision '${revision}'`,
      `see ${page}/refs for its branches and tags, or leave it at main`,
    );
  }
  if (code === 'EntryNotFound' || (status === 404 && path !== undefined && code !== 'RepoNotFound')) {
    return error(`${repo} has no file ${path ?? 'of this name'} at ${revision}`, `see ${page}/tree/${revision}`);
  }
  if (status === 401 && token && code !== 'RepoNotFound') {
    return error(`${endpoint} refused the token (401) for ${repo}${said && `: ${said}`}`, renew);
  }
  if (status === 401 || status === 404) {
    return error(
      `'${repo}' is no folder here, and ${endpoint} has no model of that name, or ${token ? 'the token may not see it' : 'it is private'} (${status})`,
      token
        ? `check path and name; if the model is private, ${renew}`
        : `check path and name; if the model is private, set HF_TOKEN`,
    );
  }
  if (status === 403) return error(`${endpoint} forbids access to ${repo} (403)${said && `: ${said}`}`, renew);
  if (status === 429) {
    return error(
      `${endpoint} has had too many requests (429) for ${repo}`,
      'try again later, or set HF_TOKEN for a higher limit',
    );
  }
  const what = path === undefined ? repo : `${path} of ${repo}`;
  return error(
    `${endpoint} answered ${status} for ${what}${said && `: ${said}`}`,
    status >= 500 ? 'try again later, or name another hub by HF_ENDPOINT' : 'check HF_ENDPOINT',
  );
}

/** The last word after retries of a connection that gave nothing. */
export function unreachable({ endpoint, token, repo }: Hub, path: string | undefined, cause: unknown): AoError {
  const what = path === undefined ? `'${repo}' is no folder here, and` : `${path} of ${repo}`;
  const reason = (cause as { cause?: { code?: string } } | null)?.cause?.code ?? (cause as Error).message;
  return new AoError('ERR_AO_CONFIG', withoutToken(`${what} cannot be had from ${endpoint}: ${reason}`, token), {
    fix: 'check the network and HF_ENDPOINT; HF_HUB_OFFLINE=1 uses what the cache holds',
  });
}

function withoutToken(message: string, token: string | undefined): string {
  return token === undefined ? message : message.replaceAll(token, '***');
}
