"""The program that lives on the workers. Nothing of the tool imports it: `node/boot.py` ships it as a file."""
