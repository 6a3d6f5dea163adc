"""Why a process does not start. Apart from the life of a service, so that clients need nothing of what services run on."""


class StartupError(Exception):
    """Something the operator has to mend before the service can start; the text is one line."""
