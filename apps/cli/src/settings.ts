// Options of every command: what goes to stderr besides errors, and how much an error tells.
export const settings = {
  /** Errors alone: no progress, no notes. */
  quiet: false,
  /** Errors with their stack and causes. */
  verbose: false,
};
