#!/bin/sh
# Finds a Python that suits and hands over to tools/bootstrap with the same arguments.
# Where there is none, one line says what is missing. POSIX sh: macOS has an old bash.
set -eu
cd "$(dirname "$0")/.."
unset PYTHONHOME PYTHONPATH PYTHONSAFEPATH

# Every Python since 2.7 can read this. It prints ok, or what is wrong and the version.
probe='
import sys
version = "%d.%d" % sys.version_info[:2]
if version not in ("3.11", "3.12", "3.13"):
    sys.exit(sys.stdout.write("version " + version) and None)
try:
    import bz2, ctypes, lzma, sqlite3, ssl, zlib
except ImportError as error:
    sys.exit(sys.stdout.write("module %s %s" % (version, error.name)) and None)
try:
    import ensurepip, venv
except ImportError:
    sys.exit(sys.stdout.write("venv " + version) and None)
sys.stdout.write("ok")
'

# Sets python to the first candidate that suits, else problem to the most telling complaint.
find_python() {
    python='' problem=''
    for candidate in "$@"; do
        answer=$("$candidate" -c "$probe" 2>/dev/null) || answer=''
        case $answer in
            ok) python=$candidate; return ;;
            venv* | module*) case $problem in '' | version*) problem="$answer $candidate" ;; esac ;;
            version*) problem=${problem:-"$answer $candidate"} ;;
        esac
    done
}

explain() {
    # shellcheck disable=SC2086 # the answer's words are wanted apart
    set -- $1
    case ${1:-none} in
        venv) echo "Python $2 cannot make environments: sudo apt install python$2-venv" ;;
        module) echo "Python $2 was built without $3: install that library's headers" \
            "(Debian, Ubuntu: sudo apt install libbz2-dev libffi-dev liblzma-dev libsqlite3-dev" \
            "libssl-dev zlib1g-dev) and build this Python again, or name another: PYTHON=…" ;;
        version) echo "movierec needs Python 3.11, 3.12 or 3.13 and found $2. $how" ;;
        none) echo "movierec needs Python 3.11, 3.12 or 3.13 and found none. $how" ;;
    esac
}
how='Install one (Debian, Ubuntu: sudo apt install python3.11 python3.11-venv; macOS: brew install python@3.13) or name it: PYTHON=/path/to/python3.12 make run'

if [ -n "${PYTHON:-}" ]; then
    find_python "$PYTHON"
    how="That is what PYTHON=$PYTHON gives; name another one."
else
    # The environment's own Python comes first: a second start must not switch to another.
    find_python .venv/bin/python python3 python3.13 python3.12 python3.11 \
        "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.1[123].*/bin/python
fi
if [ -z "$python" ]; then
    explain "$problem" >&2
    exit 1
fi
exec "$python" -m tools.bootstrap "$@"
