"""M-Bus application records (EN 13757-3)."""
