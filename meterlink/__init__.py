"""From bytes to readings: transport, framing, security, session, gate and commands."""
