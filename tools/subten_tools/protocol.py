"""Lines of JSON between subten and a tool of this folder."""

import json
import os
import shutil
import sys
import threading
import traceback


class ToolError(Exception):
    """A failure that is explained to the user. `code` is one of subten's error codes."""

    def __init__(self, code, message, remedy=None, **details):
        super().__init__(message)
        self.code, self.remedy, self.details = code, remedy, details


class Events:
    """Writes events to what was standard output; whatever else the process prints goes to standard error."""

    def __init__(self):
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def send(self, event, **fields):
        with self._lock:
            # NaN and infinities are no JSON.
            self._out.write(json.dumps(dict(fields, event=event), allow_nan=False) + "\n")
            self._out.flush()

    def progress(self, phase, done, total):
        self.send("progress", phase=phase, done=done, total=total)

    def note(self, text):
        self.send("note", text=text)


def serve(work):
    """Reads the request, does `work(request, events)` and sends its result or its error. Ends with code 0 or 1."""
    events = Events()
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, args=(request.get("work"),), daemon=True).start()
    try:
        events.send("result", result=work(request, events))
        code = 0
    except ToolError as error:
        _fail(events, error.code, str(error), error.remedy, error.details, error.__cause__)
        code = 1
    except MemoryError as error:
        remedy = "Give fewer or smaller rows (--rows), or run where more memory is free."
        _fail(events, "OUT_OF_MEMORY", "Python ran out of memory", remedy, {}, error)
        code = 1
    except BaseException as error:  # noqa: BLE001: the user gets a sentence, whatever it was
        lines = str(error).strip().splitlines() or [""]
        message = "%s: %s" % (type(error).__name__, lines[0])
        _fail(events, "ENGINE_FAILED", "the quantiser failed with " + message, None, {}, error)
        code = 1
    sys.stderr.flush()
    # Not sys.exit: the thread that waits for the end of standard input would be joined in its read.
    os._exit(code)


def _fail(events, code, message, remedy, details, cause):
    trace = "".join(traceback.format_exception(type(cause), cause, cause.__traceback__)) if cause else ""
    events.send("error", code=code, message=message, remedy=remedy, details=details, trace=trace)


def _end_with_parent(folder):
    """Standard input ends when whoever started this is gone, however it went."""
    while sys.stdin.readline():
        pass
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(3)
