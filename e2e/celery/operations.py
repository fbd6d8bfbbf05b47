"""What a test asks a Celery client to do, one small step each."""

import time

from celery.exceptions import TimeoutError as ResultTimeout
from kombu import Exchange, Queue

from app import app


def about():
    import celery
    import kombu

    return {"celery": celery.__version__, "kombu": kombu.__version__}


def send(task, args=(), kwargs=None, options=None, queue_arguments=None):
    """Publishes by name; returns the id. A queue that was declared with arguments has to be sent to with them."""
    options = options or {}
    if queue_arguments:
        options["queue"] = ranked(options["queue"], queue_arguments)
    return app.send_task(task, args=args, kwargs=kwargs or {}, **options).id


def get(id, timeout=20):
    """Waits for the result; returns {"state", "value"} or {"state", "class", "module", "message"}."""
    result = app.AsyncResult(id)
    try:
        value = result.get(timeout=timeout, propagate=False)
    except ResultTimeout:
        return {"state": "timeout", "was": result.state}
    if isinstance(value, BaseException):
        kind = type(value)
        return {"state": result.state, "class": kind.__name__, "module": kind.__module__, "message": str(value)}
    return {"state": result.state, "value": value}


def declare(queue, arguments):
    """Declares a queue as an application does that asks for more than Celery's defaults."""
    with app.connection_for_write() as connection:
        ranked(queue, arguments)(connection).declare()


def ranked(queue, arguments):
    return Queue(queue, Exchange(queue), routing_key=queue, queue_arguments=arguments)


def shout(bodies):
    """Publishes bodies, each with its content type, to all who hear requests."""
    with app.connection_for_write() as connection:
        producer = connection.Producer()
        exchange = Exchange("celery.pidbox", type="fanout", durable=False)
        for body, content_type in bodies:
            producer.publish(body, exchange=exchange, content_type=content_type, content_encoding="utf-8")


def watch(sent, wanted, timeout=30):
    """Sends tasks, a name and arguments each, once events are heard. Returns the events of these tasks and of workers, the
    last of each type, as soon as all the wanted types came."""
    came, ids = {}, set()
    until = time.monotonic() + timeout

    def on_event(event):
        if not ids and event["type"] == "worker-heartbeat":
            ids.update(app.send_task(task, args=args, queue="debug").id for task, args in sent)
        if event.get("uuid", None) in ids or "uuid" not in event:
            came[event["type"]] = {name: value for name, value in event.items() if name != "type"}
        # Heartbeats come whether or not anything else does.
        if set(wanted) <= set(came) or time.monotonic() > until:
            receiver.should_stop = True

    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": on_event})
        app.control.enable_events()
        receiver.capture(limit=None, timeout=timeout, wakeup=False)
    return came
