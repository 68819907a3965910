// What core has to say goes to the caller's function, once per code and key; core never touches the console.
export interface LogMessage {
  readonly level: 'info' | 'warn';
  readonly code: string;
  readonly message: string;
}

export type Log = (message: LogMessage) => void;

/** Passes each (code, key) on once. */
export function onceLog(log: Log | undefined): (message: LogMessage, key?: string) => void {
  const said = new Set<string>();
  return (message, key = '') => {
    const id = `${message.code}\0${key}`;
    if (log === undefined || said.has(id)) return;
    said.add(id);
    log(message);
  };
}
