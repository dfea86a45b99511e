"""How the tests read annotations: as mypy does, where an int is a float (PEP 484, "The numeric tower")."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
