"""What the programs inside the stand-in images share: Python 3.11 and cryptography 38, nothing else, is there."""
