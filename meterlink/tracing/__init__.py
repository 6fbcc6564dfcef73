"""From what crossed the wire to what it means: frames, APDUs, values; and what must go before others may see it."""

from meterlink.tracing.apdus import TracedApdu, apdus_over_hdlc
from meterlink.tracing.capture import Capture, read_capture
from meterlink.tracing.explain import Explained, explain
from meterlink.tracing.redact import redact

__all__ = ["Capture", "Explained", "TracedApdu", "apdus_over_hdlc", "explain", "read_capture", "redact"]
