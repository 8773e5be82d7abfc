"""`python -m aqqua_dist` does what the command `aqqua-dist` does."""

from aqqua_dist.cli import main

if __name__ == "__main__":
    main()
