"""Programs of ours that stand still where a test says: none has to guess how far one is."""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

HOOK = Path(__file__).with_name('hold')

#: Moments of a command that makes ``x.h5``, for :class:`Held`: what will be that file is just there
#: and is opened to be locked; it is whole, and about to be renamed.
X_BEGUN = ('open', r'/\.unfinished-[^/]*-x\.h5 ', 2)
X_WHOLE = ('os.rename', r'/\.unfinished-[^/]*-x\.h5 ')


class Held(subprocess.Popen):
    """A program that stands still at events of Python's, and acts on signals there.

    Parameters
    ----------
    command : sequence
        Starts Python, by whatever way.
    event : str
        An audit event, see Python's table of them: ``'os.rename'``, before something is renamed.
    pattern : str, optional
        A regular expression that the event's arguments match, with blanks between them.
    first : int, optional
        The first of these events that it stands at; after it, at each until it is let go.
    folder : pathlib.Path, optional
        A folder that the program sees too, where that of temporary files is its own.
    env : dict, optional
        The environment.
    """

    def __init__(self, command, event, pattern='', first=1, *, folder=None, env=None, **options):
        # Other users' programs may tell too.
        self._made = tempfile.TemporaryDirectory(prefix='held-', dir=folder)
        self._folder = Path(self._made.name)
        self._folder.chmod(0o777)
        self._count = 0
        env = dict(os.environ if env is None else env)
        env['HELD'] = json.dumps([self._made.name, event, pattern, first])
        env['PYTHONPATH'] = os.pathsep.join([str(HOOK), env.get('PYTHONPATH', '')])
        super().__init__(list(map(str, command)), env=env, **options)

    def stands(self):
        """Wait until it stands; False if it ended before."""
        while self.poll() is None:
            if (self._folder / f'stands{self._count}').exists():
                return True
            time.sleep(0.002)
        return False

    def go_on(self):
        """Let it go on to the next such event."""
        (self._folder / f'go{self._count}').mkdir()
        self._count += 1

    def let_go(self):
        """Let it go on to its end."""
        (self._folder / 'go').mkdir(exist_ok=True)

    def __exit__(self, *exception):
        self.let_go()
        super().__exit__(*exception)
        self._made.cleanup()


def end(command, moment, sent, folder):
    """Send a signal to a command that makes ``x.h5`` in a folder, at a moment; check its end."""
    with Held(command, *moment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stands()
        assert list(folder.glob('.unfinished-*-x.h5'))
        process.send_signal(sent)
        process.let_go()
        _, said = process.communicate()
    assert process.returncode == {2: 130, 15: 143, 9: -9}[sent]
    assert 'Traceback' not in said
