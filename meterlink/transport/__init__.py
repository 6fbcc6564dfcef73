"""Bytes in, bytes out.

::

    base            what a transport promises
    url             from a URL to a transport; the registry
    stream, buffer  what ours share: a bounded buffer, deadlines raced against the loss of the link
    ├── ble         Bluetooth LE over bleak (ble_find, ble_scan, ble_pipe, ble_credits, ble_errors, gatt_services,
    │               radio, patience; bluez_agent for passkeys on Linux)
    ├── serial      serial ports over pyserial (port_thread, line)
    ├── tcp         TCP; rfc2217 over it (telnet)
    ├── memory      two ends in one process
    └── replay      recordings, and what makes them
    head            optical heads and bridges over any of these (echo, parity); optical opens them
    discovery       what is there to connect to
"""
