"""Lets `python -m capturefile` do what the command `capturefile` does."""

import sys

from capturefile.cli import main

if __name__ == "__main__":
    sys.exit(main())
