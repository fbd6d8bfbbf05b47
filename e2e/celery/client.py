"""A Celery client that the tests speak to: one JSON object a line in, one a line out.

{"do": "NAME", ...} calls the function of that name in operations.py or scenarios.py with the other fields. The answer
is {"ok": value} or {"error": text}; the process lives until its standard input ends, so that importing Celery is paid
for once.
"""

import json
import sys
import traceback

import operations
import scenarios


def answer(line):
    request = json.loads(line)
    name = request.pop("do")
    function = getattr(scenarios, name, None) or getattr(operations, name, None)
    if function is None:
        return {"error": f"no operation or scenario {name}"}
    try:
        return {"ok": function(**request)}
    except Exception:  # the test decides what a failure means
        return {"error": traceback.format_exc(limit=-2)}


def main():
    # Libraries may print; the channel stays clean.
    channel = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        channel.write(json.dumps(answer(line), default=str) + "\n")
        channel.flush()


main()
