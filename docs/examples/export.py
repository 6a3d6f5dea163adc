"""Writes the last day's signals of a webhook with their timelines, one JSON object a line."""

import sys
from datetime import UTC, datetime, timedelta

from google.protobuf import json_format
from vantixs.client import Client

since = datetime.now(UTC) - timedelta(days=1)
with Client.from_home(sys.argv[1]) as client:
    for signal in client.signals.list(webhook_id="demo", since=since):
        found = client.signals.get(signal.signal_id)
        print(json_format.MessageToJson(found, preserving_proto_field_name=True, indent=None))
