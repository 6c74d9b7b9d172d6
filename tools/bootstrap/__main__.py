"""What the Makefile calls: `python -m tools.bootstrap COMMAND`; `main` has the commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tools.bootstrap.environment import ensure_environment, run_poetry
from tools.bootstrap.machine import SetupError, check_port, ensure_chromium, ensure_postgres

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"
OPTIONAL = {"api", "bench", "mlflow", "postgres", "ray", "s3"}


def main(arguments: list[str]) -> int:
    """Carry out one command; return its exit status."""
    match arguments:
        case ["run"]:
            return _run(os.environ.get("PORT") or "8501")
        case ["install", *groups] if set(groups) <= OPTIONAL:
            ensure_environment(ROOT, ["main", *groups])
        case [group] if group in OPTIONAL:
            ensure_environment(ROOT, ["main", group])
        case ["dev"]:
            ensure_environment(ROOT, ["main", "bench", "dev"])
            ensure_chromium(os.environ)
            ensure_postgres(os.environ)
        case ["poetry", *rest]:
            run_poetry(ROOT, rest)
        case _:
            known = ", ".join(sorted(OPTIONAL))
            raise SetupError(
                f"Say which: run, install, {known}, dev, or poetry with its arguments."
            )
    return 0


def _run(port_text: str) -> int:
    port = check_port(port_text)
    ensure_environment(ROOT, ["main"])
    status = subprocess.run([BIN / "movierec", "setup"], cwd=ROOT, check=False).returncode
    if status:
        return status
    address = os.environ.get("STREAMLIT_SERVER_ADDRESS", "localhost")
    print(f"The dashboard is on http://{address}:{port} (Ctrl-C stops it)", flush=True)
    command = [str(BIN / "python"), "-m", "streamlit", "run", "Home.py", *_server(address, port)]
    os.chdir(ROOT)
    os.execv(command[0], command)


def _server(address: str, port: int) -> list[str]:
    flags = {
        "port": str(port),
        "address": address,
        "headless": str(not _has_desktop()).lower(),
        # without it a first start waits for an e-mail address to be typed
        "showEmailPrompt": "false",
        "fileWatcherType": "none",
    }
    return [word for name, value in flags.items() for word in (f"--server.{name}", value)]


def _has_desktop() -> bool:
    """Say whether a browser can be opened for the person who started this."""
    if not sys.stdout.isatty() or os.environ.get("CI") or os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SetupError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
