// SmolLM2-135M reads 512 tokens in int8 with dynamic int8 activations, beside torchao's int8dq under torch.compile. Neither
// quantizes the head, as transformers does it.
import { duel } from '../duel.ts';
import { quality } from '../quality.ts';
import type { Suite } from '../suite.ts';
import { promptOf, startOurs, startTorchao } from '../text-engine.ts';

const READ = 512;
const OURS = { scheme: 'int8dq' };
const ID = 'prefill-torchao-int8dq';

export const suite: Suite = {
  name: 'torchao',
  rows: [ID],
  async *run(options) {
    const room = { threads: options.threads, contextSize: READ + 8 };
    const nats = await quality(options, room, OURS);
    yield* duel(
      [
        {
          kind: 'prefill',
          id: ID,
          what: `prefill ${READ} SmolLM2-135M int8dq`,
          form: 'int8-token',
          target: { kind: 'ratio', value: 1.1 },
          ...nats,
        },
      ],
      {
        ours: () => startOurs('ours', OURS, room),
        peer: 'torchao',
        theirs: () => startTorchao('torchao int8dq compiled', 'int8dq', room),
        job: { read: promptOf(READ), write: 0 },
      },
      options,
    );
  },
};
