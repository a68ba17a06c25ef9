"""`python -m dockeree` is `dockeree`."""

from dockeree.commands.main import main

if __name__ == "__main__":
    main()
