"""The console of Windows."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import msvcrt
    from ctypes import byref, windll, wintypes

    _ENABLE_VIRTUAL_TERMINAL_PROCESSING = 4

    def is_console(descriptor: int) -> bool:
        """Returns whether output goes to a console; if so, enables escape sequences in it."""
        mode = wintypes.DWORD()
        try:
            handle = wintypes.HANDLE(msvcrt.get_osfhandle(descriptor))
        except OSError:
            return False
        if not windll.kernel32.GetConsoleMode(handle, byref(mode)):
            return False
        windll.kernel32.SetConsoleMode(handle, mode.value | _ENABLE_VIRTUAL_TERMINAL_PROCESSING)
        return True
