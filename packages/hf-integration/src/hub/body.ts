// bytesOf(answer): its pieces as they come; one that falls silent for the hub's timeout is an error, as is its abort.
import type { Hub } from './hub.ts';
import { watch } from './request.ts';

export async function* bytesOf(hub: Hub, { body }: Pick<Response, 'body'>): AsyncGenerator<Uint8Array> {
  if (!body) return;
  const reader = body.getReader();
  let ended: { readonly reason: unknown } | undefined;
  const watching = watch(hub, (reason) => {
    ended = { reason };
    reader.cancel().catch(() => {});
  });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (ended) throw ended.reason;
      if (done) return;
      watching.heard();
      yield value;
    }
  } finally {
    watching.stop();
    // also where the caller stops early: the connection is not worth keeping
    await reader.cancel().catch(() => {});
  }
}
