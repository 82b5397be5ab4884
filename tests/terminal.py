"""A terminal for programs under test: what they write to it, and what a person sees of that."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios


def run_in_terminal(command, **variables):
    """Run a command in a terminal of 200 columns: its exit code, and all it wrote."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 50, 200, 0, 0))
    environment = {name: text for name, text in os.environ.items() if name != 'NO_COLOR'}
    environment |= {'TERM': 'xterm'} | variables
    process = subprocess.Popen(
        list(map(str, command)), stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    written = b''.join(iter(lambda: _read(ours), b''))
    os.close(ours)
    return process.wait(timeout=600), written.decode().replace('\r\n', '\n')


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux: the other side is closed
        return b''


def screen(written):
    """The lines that are there in the end, without colours."""
    lines, row, column = [''], 0, 0
    for sign in re.findall(r'\x1b\[[0-9;]*[A-Za-z]|.', written, re.DOTALL):
        if sign == '\r':
            column = 0
        elif sign == '\n':
            row, column = row + 1, 0
            lines += [''] * (row == len(lines))
        elif sign == '\x1b[A':
            row -= 1
        elif not sign.startswith('\x1b'):
            line = lines[row].ljust(column)
            lines[row] = line[:column] + sign + line[column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]
