"""``python -m isrf``: the command line, also for launchers that start modules (``torchrun -m isrf train WS``)."""

from isrf.cli.main import main

if __name__ == "__main__":
    main()
