"""A small application with Sentry's Python SDK. Its last line is JSON: the ids of what it sent."""

import json
import sys

import sentry_sdk

sentry_sdk.init(dsn=sys.argv[1], release="parcels@1.4.0", environment="staging", send_default_pii=True)


class ParcelLost(Exception):
    pass


def weigh_parcel(tracking):
    label = "label-é-☃"
    return len(label) / tracking["weight"]


def ship(tracking):
    try:
        weigh_parcel(tracking)
    except ZeroDivisionError as error:
        raise ParcelLost("parcel has no weight") from error


scope = sentry_sdk.get_isolation_scope()
scope.set_user({"id": 7, "email": "jane@example.org"})
scope.set_tag("feature", "checkout")
sentry_sdk.add_breadcrumb(category="auth", message="login", level="info")
sent = {"version": sentry_sdk.VERSION}
with sentry_sdk.new_scope() as inner:
    inner.add_attachment(bytes=b"line\n\x00\xff\n", filename="note.bin", content_type="application/octet-stream")
    try:
        ship({"weight": 0})
    except ParcelLost as error:
        sent["exception"] = sentry_sdk.capture_exception(error)
sent["message"] = sentry_sdk.capture_message("plain message of python", level="warning")
sentry_sdk.flush(timeout=5)
print(json.dumps(sent))
