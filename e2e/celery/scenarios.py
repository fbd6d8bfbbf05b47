"""What a Celery user does, and what must come of it when the other side is a worker of Vigie's.

A scenario returns a few words on what it saw and raises AssertionError if something else came. `queue` tells which
side runs the debug.* tasks: Vigie's worker serves `debug`.
"""

import datetime
import decimal
import json
import os
import time
import uuid

from celery import chain, chord, group
from celery.exceptions import TaskRevokedError
from celery.result import allow_join_result

from app import add, app, echo, fail, note, sleep, value

WITHIN = 20


def result_of(result, timeout=WITHIN):
    with allow_join_result():
        return result.get(timeout=timeout)


def here(signature):
    """A step for the Python worker, to be sent by Vigie's: routes are known to this application only, so a step names its
    queue. One that names none goes to the queue of the step before."""
    return signature.set(queue="python")


def values():
    """JSON values, text of all kinds, and the types that kombu writes as __type__, there and back."""
    moment = datetime.datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=datetime.timezone.utc)
    samples = [
        None, True, 0, -1, 2**53, 1.5, "", "plain", "naïve ☃ 𝄞 \u2028 \x00 \"quoted\" \\", [], {}, [1, [2, [3]]],
        {"a": {"b": [None, False]}},
        moment, moment.date(), decimal.Decimal("12.3400"), uuid.UUID("12345678-1234-5678-1234-567812345678"),
        b"bytes \x00\xff", {"when": moment, "list": [decimal.Decimal("0.1")]},
    ]
    for sample in samples:
        came = result_of(echo.delay(sample))
        assert came == sample, f"sent {sample!r}, came {came!r}"
        assert type(came) is type(sample), f"sent {type(sample)}, came {type(came)}"
    return f"{len(samples)} values"


def several_arguments():
    came = result_of(echo.delay(1, "two", [3]))
    assert came == [1, "two", [3]], came
    return "positional arguments as a list"


def large_body(size=1_000_000):
    """A result is kept up to a MiB, so this is nearly the largest that comes back."""
    text = ("é☃" + "x" * 995) * (size // 1000)
    assert result_of(echo.delay(text)) == text
    return f"{len(text.encode())} bytes"


def compressed(methods=("gzip", "zstd")):
    text = "squeeze me ☃ " * 2000
    for method in methods:
        came = result_of(echo.apply_async((text,), compression=method))
        assert came == text, f"{method}: {len(came)} characters came"
    return ", ".join(methods)


def failure_class():
    """A failure in Vigie's worker is the exception that its text names."""
    result = fail.apply_async(("boom ☃",), retry=False)
    try:
        came = result_of(result, 60)
    except RuntimeError as error:
        assert "boom ☃" in str(error), repr(error)
        assert result.state == "FAILURE", result.state
        assert result.failed()
        return repr(error)
    raise AssertionError(f"debug.fail returned {came!r}")


def delayed(countdown=1.5):
    """Neither too early nor much too late, by countdown and by eta in another zone."""
    sent = time.monotonic()
    by_countdown = echo.apply_async(("countdown",), countdown=countdown)
    zone = datetime.timezone(datetime.timedelta(hours=-7))
    by_eta = echo.apply_async(("eta",), eta=datetime.datetime.now(zone) + datetime.timedelta(seconds=countdown))
    for result in (by_countdown, by_eta):
        result_of(result)
        took = time.monotonic() - sent
        assert countdown - 0.05 <= took <= countdown + 3, f"{result.result} came after {took:.2f} s"
    return f"after {countdown} s"


def expired():
    """A task whose time has passed is not run; its result says so, as Celery's would."""
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=5)
    for options in ({"expires": past}, {"countdown": 2, "expires": 1}):
        result = echo.apply_async(("never",), **options)
        try:
            came = result_of(result)
        except TaskRevokedError:
            assert result.state == "REVOKED", result.state
            continue
        raise AssertionError(f"it ran although it had expired: {came!r}")
    assert result_of(echo.apply_async(("in time",), expires=600)) == "in time"
    return "REVOKED"


def result_ignored():
    result = echo.apply_async(("quiet",), ignore_result=True)
    marker = echo.delay("after")
    result_of(marker)
    stored = app.backend.get(app.backend.get_key_for_task(result.id))
    assert stored is None, f"a result was stored: {stored!r}"
    return "nothing stored"


def time_limited():
    """[hard, soft] on the wire: the hard limit ends a run of Vigie's as a failure."""
    result = sleep.apply_async((30,), time_limit=1, retry=False)
    began = time.monotonic()
    try:
        came = result_of(result, 25)
    except Exception as error:
        assert type(error).__name__ == "TimeLimitExceeded", repr(error)
        return f"TimeLimitExceeded after {time.monotonic() - began:.1f} s"
    raise AssertionError(f"30 s of sleep within a limit of 1 s: {came!r}")


def chains():
    """Steps of both sides in turn: echo runs at Vigie's, the others here."""
    came = result_of(chain(add.s(1, 2), echo.s(), here(add.s(10)), echo.s())())
    assert came == 13, came
    came = result_of(chain(echo.s(5), here(add.s(1)), echo.si("alone"))())
    assert came == "alone", came
    return "chain"


def failed_chain():
    """A step that fails at Vigie's fails those behind it: whoever waits for the last hears of it."""
    result = chain(add.s(1, 2), fail.si("step"), here(add.s(10)))()
    try:
        came = result_of(result, 60)
    except RuntimeError as error:
        assert "step" in str(error), repr(error)
        return repr(error)
    raise AssertionError(f"a chain with a failed step came to {came!r}")


def chord_is_refused():
    """Without a backend that counts the parts Celery itself sends no chord."""
    try:
        chord([echo.s(1), add.s(1, 1)])(here(value.s()))
    except NotImplementedError:
        return "no chords"
    raise AssertionError("a chord was sent over a backend that cannot count")


def groups():
    came = result_of(group(echo.s(1), add.s(1, 1), echo.s(3), value.s(4))())
    assert came == [1, 2, 3, 4], came
    return "group"


def chords():
    """Parts of both sides, in order, whoever finishes last; and a chord whose body runs at Vigie's."""
    came = result_of(chord([echo.s(1), add.s(1, 1), echo.s(3)])(here(value.s())))
    assert came == [1, 2, 3], came
    came = result_of(chord([add.s(1, 1), echo.s(3), echo.s(4)])(here(add.s())))
    assert came == 9, came
    came = result_of(chord([value.s(1), add.s(1, 1)])(echo.s().set(queue="debug")))
    assert came == [1, 2], came
    return "chord"


def failed_chord():
    """A part that fails at Vigie's fails the body."""
    result = chord([add.s(1, 1), fail.si("part")])(here(value.s()))
    try:
        came = result_of(result, 60)
    except Exception as error:
        assert "part" in str(error), repr(error)
        return type(error).__name__
    raise AssertionError(f"a chord with a failed part came to {came!r}")


def links(file):
    """The callback gets what Vigie's run returned, the errback the id of the run that failed."""
    result_of(echo.apply_async(("linked",), link=here(note.s("link", file=file))))
    failing = fail.apply_async(("unlinked",), link_error=here(note.s("link_error", file=file)))
    try:
        result_of(failing, 60)
    except RuntimeError:
        pass
    wanted = [["linked", "link"], [failing.id, "link_error"]]
    until = time.monotonic() + WITHIN
    came = []
    while came != wanted and time.monotonic() < until:
        time.sleep(0.05)
        if os.path.exists(file):
            with open(file, encoding="utf-8") as lines:
                came = [json.loads(line) for line in lines]
    assert came == wanted, f"wanted {wanted}, came {came}"
    return "link, link_error"


def there_and_back():
    assert result_of(echo.delay("there and back ☃")) == "there and back ☃"
    return "delay() and get()"


def pickled():
    """A worker that unpickled this would run whatever a stranger wrote."""
    return echo.apply_async(("pickled",), serializer="pickle").id


def smoke():
    """What any version must be able to do."""
    assert result_of(echo.delay("there and back ☃")) == "there and back ☃"
    result = fail.apply_async(("boom",))
    try:
        result_of(result, 60)
    except RuntimeError as error:
        assert "boom" in str(error), repr(error)
        return "delay() and get(), result and failure"
    raise AssertionError("debug.fail did not fail")
