"""The tests on every Python that is promised, and with the oldest packages that are.

``make test-versions`` runs all sessions, ``nox -s lowest`` one. What stands after ``--`` goes to
pytest.
"""

import nox

nox.needs_version = '>=2024.10'
nox.options.default_venv_backend = 'uv'
nox.options.error_on_missing_interpreters = True

#: Tools a distribution brings are found on PATH; the image is tested by ``make test-image``.
PYTEST = (
    *('pytest', '--ignore=tests/container', '--ignore=tests/benchmarks'),
    *('--numprocesses', 'auto', '--dist', 'worksteal'),
)
OLDEST, *NEWER = ('3.11', '3.12', '3.13')


@nox.session(python=[OLDEST, *NEWER])
def tests(session: nox.Session) -> None:
    """With the newest packages."""
    session.install('--upgrade', '--editable', '.[test]')
    session.run(*PYTEST, *session.posargs)


@nox.session(python=OLDEST)
def lowest(session: nox.Session) -> None:
    """With the oldest packages that pyproject.toml allows, on the oldest Python."""
    session.install('--requirement', 'requirements/lowest.txt')
    session.install('--no-deps', '--editable', '.')
    session.run(*PYTEST, *session.posargs)
