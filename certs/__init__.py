"""Who you are and what you may do: trust domain, tokens, requests, certificates, the store and the authority."""
