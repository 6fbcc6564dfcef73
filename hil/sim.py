"""``sim:heat``: a simulated heat meter in the same process, for trying the program without any hardware.

``sim:heat?seed=7`` is another house. Within one process the same URL is the same meter, so that what one session sets
the next one reads. The meter belongs to the default trust domain.
"""

from __future__ import annotations

import datetime as dt
import functools
import time

from hil.meter.device import MeterOptions
from hil.meter.server import MeterServer
from hil.trust import shipped_identity
from hil.wire import WireTransport
from meterlink.errors import UsageError
from meterlink.transport.base import Transport
from meterlink.transport.url import Context, Options, TransportUrl


def open_sim(url: TransportUrl, options: Options, context: Context) -> Transport:
    """Return the transport to a simulated meter. Raises UsageError ``url-invalid`` for a model that does not exist."""
    seed = options.integer("seed", 1, 0, 99_999_999)
    if url.target != "heat":
        raise UsageError(
            f"there is no simulated meter {url.target!r}", code="url-invalid", hint="write sim:heat or sim:heat?seed=N"
        )
    meter = _meter(seed)
    wrapped = url.options.get("framing") == "wrapper"
    return WireTransport(meter.wrapper_connection if wrapped else meter.hdlc_line, str(url))


@functools.lru_cache(maxsize=16)
def _meter(seed: int) -> MeterServer:
    # Event loops take their time from the monotonic clock, and the handlers are driven by event loops.
    options = MeterOptions(serial=f"{seed:08d}", seed=seed)
    return MeterServer(time.monotonic(), dt.datetime.now(dt.UTC), shipped_identity(), options=options)
