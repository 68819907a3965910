// What a name can be: a hub id ('org/name', or an old one without org), a revision, and a path inside a repository. All three
// become parts of paths, so nothing passes that could leave the folder it belongs to.
import { AoError } from '@ao/core';

const ID = /^[A-Za-z0-9_](?:[\w.-]*[\w])?(?:\/[A-Za-z0-9_](?:[\w.-]*[\w])?)?$/;

/** huggingface_hub's rules: at most 96 characters, no '--' or '..', not ending in .git. */
export function isRepoId(name: string): boolean {
  return ID.test(name) && name.length <= 96 && !/--|\.\./.test(name) && !name.endsWith('.git');
}

export function checkedRevision(revision: string): string {
  // what git forbids in the name of a branch or a tag
  if (/^[^\s~^:?*[\\]+$/.test(revision) && isInside(revision)) return revision;
  throw new AoError('ERR_AO_CONFIG', `revision '${revision}' cannot be one`, {
    fix: 'give a branch, a tag or a commit of 40 hexadecimal digits',
  });
}

export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision);

/** A relative path of plain parts. */
export function isInside(path: string): boolean {
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && !/[\\:\0]/.test(part));
}
