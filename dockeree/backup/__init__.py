"""Backups of the root certificate authorities: what is in one, how it is locked, and where it lies.

root_ca.py (node/)   reads the certificates and keys on a manager, as one stream
certificates.py      what a certificate says, and whether a key fits it
manifest.py          what a backup holds, without a secret
archive.py           the tar with the manifest in it
encryption.py        the age format, which the plain `age` command opens
catalogue.py         the bucket: the archive first, then the record that makes it whole
"""
