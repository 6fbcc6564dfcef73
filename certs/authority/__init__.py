"""The issuing side: orders, review, issue, revocation, and the ledger that remembers them.

::

    service.py    Authority: what an operator can do
    home.py       the authority's folder: settings, domain file, sealed keys
    reviewing.py  whether a request may be issued, and as what
    acts.py       the steps inside one ledger transaction: spend a token, record a certificate, revoke one
    ledger.py     opening the ledger (SQLite or PostgreSQL), transactions
    schema.py     its tables and their migrations
    audit.py      the log of every act, chained by hash
    records.py    what orders, reviews and certificates are to a caller
    revocation_list.py  building a CRL
    answers.py    token and certificate codes, files and mail drafts
    inbox.py      a folder of requests as they were mailed

Needs the extra ``authority`` (SQLAlchemy).
"""

from certs.authority.records import IssuedCertificate, MeterCredential, OrderedToken, Review
from certs.authority.service import Authority

__all__ = ["Authority", "IssuedCertificate", "MeterCredential", "OrderedToken", "Review"]
