"""Where the command `consortium` begins.

It imports nothing until it is called: Python imports the file of a command anew in every
worker process that it starts, and a worker needs none of what the command line needs.
"""


def main() -> None:
    """Run the command."""
    from server.cli import main as run

    run()
