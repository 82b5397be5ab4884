"""What holds for all tests."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As shells start what runs in the background, and it would start others; some are interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)
