"""The same simulation over Flower's own engine, Ray: for many sites on many cores."""

import importlib
import logging
import os
import warnings

from flwr.simulation import run_simulation

from server.app import app


def run_with_ray(client: str, n_sites: int, workers: int) -> None:
    """Run the ServerApp and the ClientApp over Flower's simulation engine.

    Args:
        client: the ClientApp as "module:attribute".
        n_sites: number of sites.
        workers: sites that work at the same time.
    """
    module, _, attribute = client.partition(":")
    client_app = getattr(importlib.import_module(module), attribute)
    cpus = max(1.0, (os.cpu_count() or 1) / workers)
    logging.getLogger("flwr").setLevel(logging.CRITICAL)  # a failure is raised besides
    with warnings.catch_warnings():
        # Flower prefers `flwr run`, which leaves a server running behind the user's back.
        warnings.simplefilter("ignore", DeprecationWarning)
        run_simulation(
            server_app=app,
            client_app=client_app,
            num_supernodes=n_sites,
            backend_config={
                "client_resources": {"num_cpus": cpus, "num_gpus": 0.0},
                "init_args": {"num_cpus": os.cpu_count() or 1, "include_dashboard": False},
            },
        )
