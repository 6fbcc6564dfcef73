"""The COSEM application layer without I/O: data, APDUs, associations, block transfer, interface classes."""
