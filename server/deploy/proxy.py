"""nginx in front of SuperLink: the only door that sites see.

SuperLink serves three APIs on one port and asks nobody who calls the Control API. So sites
get `/v1/fleet/*`, where every request is signed by a registered key, and `/health`; all
else is refused here.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from common.machine.flower import environment
from common.machine.processes import Plan
from server.deploy.flower import Link, answers

MISSING = (
    "nginx is not installed, and nothing else may stand before SuperLink: its Control API "
    "asks nobody for a password.\nDebian and Ubuntu: apt-get install nginx-light; "
    "Fedora: dnf install nginx; macOS: brew install nginx"
)
_PLACES = "/usr/sbin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin"

# nginx looks for names in an upstream's certificate, not for addresses.
_UPSTREAM_NAME = "localhost"

_CONFIGURATION = """\
{user}daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
  access_log {folder}/access.log;
  server_tokens off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;

  # Connections are kept, as each new one costs SuperLink more than what is asked; it lets go
  # of those that are silent for five seconds, so nginx does before.
  upstream superlink {{
    server {upstream};
    keepalive 32;
    keepalive_timeout 3s;
  }}

  server {{
    listen {listen}:{port} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;

    # An array travels in pieces of 5 MB.
    client_max_body_size 64m;
    client_body_timeout 180s;
    keepalive_timeout 75s;

    location /v1/fleet/ {{
      limit_except POST {{ deny all; }}
      proxy_pass https://superlink;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_read_timeout 300s;
      proxy_send_timeout 300s;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate {trusted};
      proxy_ssl_name {upstream_name};
    }}
    location = /health {{
      proxy_pass https://superlink;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate {trusted};
      proxy_ssl_name {upstream_name};
    }}
    location / {{ return 403; }}
  }}
}}
"""


@dataclass(frozen=True)
class Proxy:
    """The proxy of one deployment.

    Attributes:
        link: the SuperLink it stands before.
        listen: the address it listens on, such as 0.0.0.0.
        port: that sites connect to.
    """

    link: Link
    listen: str
    port: int

    @property
    def folder(self) -> Path:
        """Where nginx keeps its configuration and log."""
        return self.link.folder / "proxy"

    def plan(self) -> Plan:
        """Write the configuration and return nginx's process.

        Raises:
            FileNotFoundError: there is no nginx on this machine.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "nginx.conf").write_text(self.configuration(), encoding="utf-8")
        command = [
            nginx(),
            *("-p", str(self.folder)),
            *("-c", str(self.folder / "nginx.conf")),
            *("-e", "stderr"),
        ]
        return Plan("proxy", command, self.folder, environment(self.link.folder))

    def configuration(self) -> str:
        """Return nginx's configuration."""
        link = self.link
        return _CONFIGURATION.format(
            folder=self.folder,
            listen=self.listen,
            port=self.port,
            certificate=link.folder / "server.pem",
            key=link.folder / "server.key",
            trusted=link.folder / "ca.pem",
            upstream=link.address,
            upstream_name=_UPSTREAM_NAME,
            # Else nginx would read this folder as somebody who may not.
            user="user root root;\n" if os.geteuid() == 0 else "",
        )

    def is_up(self) -> bool:
        """Tell whether SuperLink answers through it."""
        near = "127.0.0.1" if self.listen == "0.0.0.0" else self.listen  # noqa: S104
        return answers(f"{near}:{self.port}", self.link.folder / "ca.pem")


def nginx() -> str:
    """Return the path of nginx.

    Raises:
        FileNotFoundError: with what to install.
    """
    found = shutil.which("nginx") or shutil.which("nginx", path=_PLACES)
    if found is None:
        raise FileNotFoundError(MISSING)
    return found
