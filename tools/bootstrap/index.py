"""The package index: what pip is configured for, handed to Poetry, and why it may not answer.

No address is written down here or in any file: pip's own configuration, or what is built
into pip, is read when it is needed. Credentials go to Poetry through its environment only.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from tools.bootstrap.machine import SetupError

# pip merges its files, its variables and its built-in defaults here; `pip config list` would
# print the files and leave the merging, and the default, to us.
_ASK_PIP = """
import json
from pip._internal.commands import create_command
options = create_command("install").parser.get_default_values()
names = ("index_url", "cert", "client_cert", "proxy")
known = {name: getattr(options, name) or "" for name in names}
print(json.dumps({**known, "timeout": float(options.timeout)}))
"""
# A mirror that fetches a large wheel for the first time can be silent for a while.
_PATIENCE = 60
# Of another environment, or settings that would make Poetry install elsewhere.
_MISLEADING = ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHONHOME", "PYTHONPATH")


@dataclass(frozen=True)
class PipConfig:
    """What `pip install` would use; `index_url` has no credentials in it."""

    index_url: str
    username: str = ""
    password: str = ""
    cert: str = ""
    client_cert: str = ""
    proxy: str = ""
    timeout: float = 15.0


def read_pip_config(python: str, environ: Mapping[str, str]) -> PipConfig:
    """Return the configuration of the pip of an environment.

    `POETRY_PYPI_MIRROR_URL`, where the user has set it, is the index.
    """
    answer = subprocess.run(
        [python, "-c", _ASK_PIP], env=dict(environ), capture_output=True, text=True, check=False
    )
    try:
        options = json.loads(answer.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise SetupError(
            "pip's configuration cannot be read: try `python3 -m pip config debug`, "
            "or delete .poetry and run it again."
        ) from None
    url = urlsplit(environ.get("POETRY_PYPI_MIRROR_URL") or options["index_url"])
    options["index_url"] = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
    return PipConfig(
        **options, username=unquote(url.username or ""), password=unquote(url.password or "")
    )


def poetry_environment(pip: PipConfig, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment to run Poetry in; what the user has set for Poetry stays."""
    ours = {
        "REQUESTS_CA_BUNDLE": pip.cert,
        "SSL_CERT_FILE": pip.cert,
        "POETRY_CERTIFICATES_PYPI_CLIENT_CERT": pip.client_cert,
        "HTTPS_PROXY": pip.proxy,
        "HTTP_PROXY": pip.proxy,
        # apart from the address: Poetry drops them from it for files on the same host
        "POETRY_HTTP_BASIC_PYPI_USERNAME": pip.username,
        "POETRY_HTTP_BASIC_PYPI_PASSWORD": pip.password,
        "POETRY_REQUESTS_TIMEOUT": str(round(max(pip.timeout, _PATIENCE))),
    }
    return {
        **{name: value for name, value in ours.items() if value},
        **{name: value for name, value in environ.items() if name not in _MISLEADING},
        "POETRY_PYPI_MIRROR_URL": pip.index_url,
        "POETRY_VIRTUALENVS_CREATE": "true",
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "POETRY_NO_INTERACTION": "1",
    }


def explain_index(pip: PipConfig, timeout: float = 15.0) -> str:
    """Return one line on why the index cannot be used, or nothing when it answers."""
    host = urlsplit(pip.index_url).hostname or pip.index_url
    try:
        _open(pip, timeout)
    except urllib.error.HTTPError as error:
        return _explain_status(host, error.code)
    except (OSError, ValueError) as error:
        return _explain_failure(host, getattr(error, "reason", error))
    return ""


def _open(pip: PipConfig, timeout: float) -> None:
    request = urllib.request.Request(pip.index_url.rstrip("/") + "/pip/")
    if pip.username:
        pair = base64.b64encode(f"{pip.username}:{pip.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {pair}")
    context = ssl.create_default_context(cafile=pip.cert or None)
    proxies = {"http": pip.proxy, "https": pip.proxy} if pip.proxy else None
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler(proxies)
    )
    opener.open(request, timeout=timeout).close()


def _explain_status(host: str, code: int) -> str:
    if code in (401, 403, 407):
        return (
            f"The package index {host} refuses the credentials ({code}): correct the user and "
            f"password in pip's index-url or proxy (`pip config list`)."
        )
    if code >= 500:
        return f"The package index {host} is out of order ({code}): try again later."
    return (
        f"{host} answers {code} where an index's simple pages should be: correct pip's index-url "
        "(`pip config list`; it usually ends in /simple)."
    )


def _explain_failure(host: str, reason: object) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"The certificate of the package index {host} is not trusted: name your network's "
            "certificates with `pip config set global.cert FILE.pem`."
        )
    if not _has_route():
        return "This machine has no network: connect it and run it again."
    what = "found" if isinstance(reason, socket.gaierror) else f"reached ({reason})"
    return (
        f"The package index {host} cannot be {what}: check the network, or pip's index-url and "
        f"proxy (`pip config list`)."
    )


def _has_route() -> bool:
    """Say whether anything outside could be reached; connecting UDP sends nothing."""
    # the addresses that are reserved for documentation (RFC 5737, RFC 3849)
    for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, 9))
        except OSError:
            continue
        return True
    return False
