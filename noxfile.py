"""The tests on every Python that is promised, and with the oldest packages that are.

``make test-versions`` runs all sessions, ``nox -s lowest`` one. What stands after ``--`` goes to
pytest.
"""

from pathlib import Path

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
ROOT = Path(__file__).parent
DEMO = ('group', 'model', 'export', '--formula', '~ age + sex + site')


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


@nox.session(python=[OLDEST, *NEWER], default=False)
def wheel(session: nox.Session) -> None:
    """Install the wheel of ``make dist`` into an empty environment, and run the demo from it."""
    (built,) = (ROOT / 'dist').glob('*.whl')
    session.install(str(built))
    session.chdir(session.create_tmp())
    session.run('python', str(ROOT / 'docs/demo/demo_study.py'), 'study')
    session.run('modelarrayio-bids', 'study', 'out', *DEMO)
    session.run(
        'python', '-c', 'import modelarrayio_bids as m; assert "site-packages" in m.__file__'
    )


@nox.session(python=NEWER[-1], default=False)
def audit(session: nox.Session) -> None:
    """Look for known vulnerabilities in the packages of the image: needs pypi.org."""
    session.install('pip-audit')
    # Strict: a package that cannot be looked up is no package without vulnerabilities.
    session.run('pip-audit', '--strict', '--disable-pip', '-r', str(ROOT / 'requirements/lock.txt'))
