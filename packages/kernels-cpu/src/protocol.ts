// The ring shared with the stream's thread, as binding/ring.h describes it: sizes, control words and the stream's own
// commands. PROTOCOL is compared with the addon's text at load.

export const RING_DOUBLES = 1 << 17;
export const MAX_QUEUED = 4096;

export const TAIL = 0;
export const HEAD = 16;
export const COMPLETED = 32;
export const SLEEPING = 48;
export const ERRORS = 64;
export const POISONED = 80;
export const CONTROL_WORDS = 96;

export const WRAP = -1;
export const DISCARD = -2;
export const RELEASE = -3;
export const FREE_PLAN = -4;
export const WRITE_INLINE = -5;
export const WRITE_STAGED = -6;
export const COPY = -7;
export const READ = -8;
export const READ_FILE = -9;
export const FENCE = -10;
export const REPLAY = -11;
export const FOREIGN = -12;
export const SEND = -13;
export const RECEIVE = -14;
export const END_HANDOFF = -15;

export const PROTOCOL = `ring-3 ${RING_DOUBLES} ${MAX_QUEUED} ${TAIL} ${HEAD} ${COMPLETED} ${SLEEPING} ${ERRORS} ${POISONED} ${CONTROL_WORDS} ${END_HANDOFF}`;
