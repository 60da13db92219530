#!/bin/sh
# Starts the stub of Triton's Python backend with the Python environment of this tree (scripts/triton-install.mjs puts
# this file where the backend looks for its stub). The stub embeds Python: it finds its home from the `python3` that
# comes first in PATH, and its libpython by name. SUBTEN_TRITON_PYTHON names another virtual environment.
here=$(dirname "$(readlink -f "$0")")
tree=$here/../..
python=$tree/python
version=$(cat "$here/stubs/version")
libraries=$here/stubs/$version
if [ -n "$SUBTEN_TRITON_PYTHON" ]; then
  python=$SUBTEN_TRITON_PYTHON
  [ -d "$python" ] || python=$(dirname "$(dirname "$python")")
  ask='import sys, sysconfig; print("%d.%d" % sys.version_info[:2]); print(sysconfig.get_config_var("LIBDIR"))'
  answer=$("$python/bin/python3" -c "$ask") || exit 1
  version=$(echo "$answer" | head -n 1)
  libraries=$here/stubs/$version:$(echo "$answer" | tail -n 1)
fi
PATH=$python/bin:$PATH
VIRTUAL_ENV=$python
LD_LIBRARY_PATH=$libraries:$tree/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PATH VIRTUAL_ENV LD_LIBRARY_PATH
unset PYTHONHOME
exec "$here/stubs/$version/triton_python_backend_stub" "$@"
