export { type Application, application } from './application.ts';
export { type Bundle, bundle } from './bundle.ts';
export { packageTarballs, type Tarballs, unpack } from './pack.ts';
export { type Snippet, snippets } from './snippets.ts';
export {
  type Exports,
  type Manifest,
  type Package,
  packagesIn,
  publicPackages,
  repositoryFiles,
  root,
} from './workspace.ts';
