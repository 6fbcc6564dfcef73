"""Other dialects of the simulated heat meter: text over an optical head, M-Bus over an optical head, wired M-Bus.

Each face shows the same physics as the COSEM meter. It is a :class:`~hil.wire.WireHandler`, so it can be served on a
pseudo-terminal, a socket or the simulated radio.
"""
