"""M-Bus frames and the master's side of the link, without I/O (EN 13757-2, EN 13757-7)."""
