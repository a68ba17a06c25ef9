"""Launcher for a checkout: `python cli.py up` is `dockeree up`."""

from dockeree.commands.main import main

if __name__ == "__main__":
    main()
