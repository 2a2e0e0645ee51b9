"""Makes ``python -m ponder`` the same as ``ponder``."""

from ponder.cli import main

if __name__ == "__main__":
    main()
