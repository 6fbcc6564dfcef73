"""Command groups of the certificate floor: the technician's ``certs`` and the operator's ``authority``."""
