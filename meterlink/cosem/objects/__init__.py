"""What stands in COSEM objects: interface classes, units, scalers, profile rows (IEC 62056-6-2)."""
