"""Who can sign: PKI in bytes and values, without a web, a database or a PDF."""
