"""What a test asks a Celery client to do, one small step each."""

from celery.exceptions import TimeoutError as ResultTimeout

from app import app


def about():
    import celery
    import kombu

    return {"celery": celery.__version__, "kombu": kombu.__version__}


def send(task, args=(), kwargs=None, options=None):
    """Publishes by name; returns the id."""
    return app.send_task(task, args=args, kwargs=kwargs or {}, **(options or {})).id


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
