// bytesOf(stream): a stream's pieces as they come; a stream that falls silent for the hub's timeout is an error.
import type { Hub } from './hub.ts';

export async function* bytesOf(hub: Hub, stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  let silent = false;
  const timer = setTimeout(() => {
    silent = true;
    reader.cancel().catch(() => {});
  }, hub.timeout);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      hub.signal?.throwIfAborted();
      if (silent) throw new Error(`nothing came for ${hub.timeout} ms`);
      if (done) return;
      timer.refresh();
      yield value;
    }
  } finally {
    clearTimeout(timer);
    // also where the reader stops early: the connection is not worth keeping
    await reader.cancel().catch(() => {});
  }
}
