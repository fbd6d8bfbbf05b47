"""The Celery application of the end-to-end tests: an ordinary one, as a user's would be.

Everything that differs between tests comes in the environment as JSON: INTEROP_CONFIG is merged into the configuration.
The tasks named debug.* have the names of Vigie's drill tasks, so that `delay()` works from here and so that a Python
worker can take over what a dead worker of Vigie's held.
"""

import json
import os
import time

from celery import Celery

app = Celery("interop")
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_default_queue="python",
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
)
app.conf.update(json.loads(os.environ["INTEROP_CONFIG"]))


class Unlucky(Exception):
    """An exception that only this module knows."""


@app.task(name="debug.echo", queue="debug")
def echo(*args):
    return args[0] if len(args) == 1 else list(args)


@app.task(name="debug.sleep", queue="debug", acks_late=True, bind=True)
def sleep(self, seconds):
    time.sleep(seconds)
    return {"side": "python", "redelivered": (self.request.delivery_info or {}).get("redelivered")}


@app.task(name="debug.fail", queue="debug")
def fail(message):
    raise RuntimeError(message)


@app.task(name="debug.append", queue="debug")
def append(file, line):
    raise NotImplementedError("only Vigie's worker appends")


@app.task(name="debug.abort", queue="debug")
def abort():
    raise NotImplementedError("only Vigie's worker aborts")


@app.task(name="python.add")
def add(*numbers):
    return sum(flat(numbers))


@app.task(name="python.value")
def value(anything, **kwargs):
    return anything


@app.task(name="python.fail")
def fail_with(kind, message):
    raise {"ValueError": ValueError, "KeyError": KeyError, "Unlucky": Unlucky}[kind](message)


@app.task(name="python.retry_once", bind=True, max_retries=3)
def retry_once(self):
    if self.request.retries == 0:
        raise self.retry(countdown=0.2)
    return {"id": self.request.id, "retries": self.request.retries}


@app.task(name="python.about", bind=True)
def about(self):
    """Says what its message said: what a sender of another language has to get right."""
    request = self.request
    info = request.delivery_info or {}
    return {
        "id": request.id,
        "root_id": request.root_id,
        "correlation_id": request.correlation_id,
        "retries": request.retries,
        "timelimit": request.timelimit,
        "expires": request.expires,
        "eta": request.eta,
        "redelivered": info.get("redelivered"),
        "priority": info.get("priority"),
    }


@app.task(name="python.note")
def note(first, word, file):
    """Appends what it was called with to a file: callbacks have no result to ask for."""
    with open(file, "a", encoding="utf-8") as out:
        out.write(json.dumps([first, word]) + "\n")


@app.task(name="bench.nothing", queue="bench", ignore_result=True)
def nothing(text):
    pass


def flat(numbers):
    for number in numbers:
        if isinstance(number, (list, tuple)):
            yield from flat(number)
        else:
            yield number
