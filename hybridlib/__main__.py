"""The command ``hybridlib``, and ``python -m hybridlib``."""

import sys

from hybridlib import __version__


def main() -> None:
    """Run the command line; the version is told without loading the rest."""
    if sys.argv[1:] == ["--version"]:
        print(f"hybridlib {__version__}")
        return
    from hybridlib.cli import main

    main()


if __name__ == "__main__":
    main()
