"""`python -m blfd`."""

from blfd.cli import main

if __name__ == "__main__":
    main()
