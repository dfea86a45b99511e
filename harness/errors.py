"""What a user can do wrong, as one exception."""


class BadInput(Exception):
    """The input can't be used; the message is one sentence that says what was given and what is allowed.

    The command line prints that sentence, without a traceback, and exits with status 2.
    """
