"""The certificate of a server that speaks TLS itself. Owns what is wrong with its files, in words: those of
OpenSSL name neither the file nor the fault.
"""

from __future__ import annotations

import logging
import ssl
import stat
from pathlib import Path

from headwater.config import Settings
from headwater.errors import ConfigError

log = logging.getLogger("headwater.server")

_CERT, _KEY = "server.tls_cert", "server.tls_key"
_MAKE = (
    "for a try, `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
    "-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem` makes both"
)


def read_tls(settings: Settings) -> ssl.SSLContext | None:
    """TLS by `[server] tls_cert` and `tls_key`, whose paths are relative to the project; None without them.
    A key that others on this machine may read is told in the log.

    :raises ConfigError: a file is missing, cannot be read, holds something else, has a passphrase, or they do
        not belong together; `details` name `setting` and `file`.
    """
    server = settings.server
    if not server.tls_cert:
        if server.tls_key:
            raise _fault(_KEY, "tls_key is set, and tls_cert is not", "tls_cert names the certificate's file")
        return None
    cert = settings.project / server.tls_cert
    key = settings.project / server.tls_key if server.tls_key else cert
    key_setting = _KEY if server.tls_key else _CERT
    if "-----BEGIN CERTIFICATE-----" not in _read(cert, _CERT):
        raise _fault(_CERT, f'"{cert}" holds no certificate in PEM', _MAKE, cert)
    text = _read(key, key_setting)
    if "PRIVATE KEY-----" not in text:
        hint = "tls_key names the file of the private key" if key == cert else _MAKE
        raise _fault(key_setting, f'"{key}" holds no private key in PEM', hint, key)
    if "ENCRYPTED" in text:
        hint = (
            f"nobody types it when the server starts; `openssl pkey -in {key} -out FILE` writes one without"
        )
        raise _fault(key_setting, f'the private key in "{key}" has a passphrase', hint, key)
    _see_who_may_read(key)
    return _context(cert, key, key_setting)


def _context(cert: Path, key: Path, key_setting: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key, password=lambda: "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            told = f'the private key in "{key}" is not that of the certificate in "{cert}"'
            hint = "the certificate of the server comes first in its file, those of authorities behind it"
            raise _fault(key_setting, told, hint, key) from None
        told = f'"{cert}" and "{key}" cannot be used for TLS: {error.reason or "they are damaged"}'
        raise _fault(_CERT, told, _MAKE, cert) from None
    return context


def _read(path: Path, setting: str) -> str:
    try:
        return path.read_text("latin-1")
    except OSError as error:
        hint = "paths are relative to the project; the user of the server must be allowed to read it"
        told = f'"{path}" cannot be read: {error.strerror}'
        raise _fault(setting, told, hint, path) from None


def _see_who_may_read(key: Path) -> None:
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        text = 'The private key "%s" is open to others on this machine (mode %o); `chmod 600 %s` closes it'
        log.warning(text, key, mode, key)


def _fault(setting: str, told: str, hint: str, path: Path | None = None) -> ConfigError:
    section, _, name = setting.partition(".")
    file = {} if path is None else {"file": str(path)}
    return ConfigError(f"[{section}] {name}: {told}.", hint=hint, setting=setting, **file)
