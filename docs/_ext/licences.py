"""Print the licences of all packages of an environment, as the table of ``docs/licences.md``.

It runs inside the image: ``docker run -i --entrypoint python modelarrayio-bids - < licences.py``.
"""

from importlib.metadata import Distribution, distributions

CLASSIFIER = 'License :: OSI Approved :: '


def licence(package: Distribution) -> str:
    """Return the licence of a package, from whichever field of its metadata names one."""
    facts = package.metadata
    if facts.get('License-Expression'):
        return facts['License-Expression']
    classifiers = facts.get_all('Classifier') or []
    named = [text.removeprefix(CLASSIFIER) for text in classifiers if text.startswith(CLASSIFIER)]
    # Some put the whole text there: its first line names it.
    return ', '.join(named) or (facts.get('License') or 'unknown').strip().splitlines()[0]


def main() -> None:
    """Print a row for each package."""
    found = {package.metadata['Name'].lower(): licence(package) for package in distributions()}
    print('| package | licence |\n|---|---|')
    for name in sorted(found):
        print(f'| {name} | {found[name]} |')


if __name__ == '__main__':
    main()
