# The Python side of contender.ts: one JSON line in, one out. `start(setup)` gives (run, info); `run(job)` answers each job after it.
import json
import os
import sys


def serve(start):
    def say(**answer):
        print(json.dumps(answer), flush=True)

    # libraries print to stdout too; the answers keep the real one
    sys.stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run = None
    for line in sys.stdin:
        try:
            if run is None:
                run, info = start(json.loads(line))
                say(ready=info)
            else:
                say(done=run(json.loads(line)))
        except Exception as error:  # told, and the process lives on
            say(error=f"{type(error).__name__}: {error}")
