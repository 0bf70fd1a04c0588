"""The workloads by a Ray actor that holds the model and its cache of keys and
values; one call to the actor a step.

On loopback this process is the driver of a local Ray. Behind a proxy it is a Ray
client, whose only connection is the one to the head's client server: a driver
shares memory with the raylet of its machine, so that there is nothing to shape."""

import os
import socket
import time

import wire

# Before Ray is imported, which reads them.
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0", "RAY_enable_metrics_collection": "0", "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_SCHEDULER_EVENTS": "0", "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_AUTH_MODE": "disabled",  # all of it is on loopback
}
HOST = "127.0.0.1"
PATIENCE_SECONDS = 120
# Larger arrays go to Ray's object store explicitly, as its documentation has it.
PUT_BYTES = 100 << 10


def free_port():
    with socket.create_server((HOST, 0)) as s:
        return s.getsockname()[1]


class Actor:
    """The actor's class, made remote once Ray is there."""

    def __init__(self, spec, threads):
        import torch_models

        self.served = torch_models.Served(
            spec["workload"], spec["dir"], spec.get("dtype", "f32"), spec.get("form", ""), threads
        )

    def hold(self, arrays):
        self.served.hold({k: v.copy() for k, v in arrays.items()})

    def start(self, prompts, new, logits):
        return self.served.start(prompts, new, logits)

    def step(self, tokens, logits):
        return self.served.step(tokens, logits)

    def run(self, op, attrs, *named):
        """named are names and arrays in turn: a reference to an array is resolved
        where it is an argument of its own."""
        return self.served.run(op, attrs, dict(zip(named[::2], named[1::2], strict=True)))

    def told(self):
        import processes

        return {"pid": os.getpid(), "peak_rss_bytes": processes.own_peak(), "served": self.served.calls}


class Backend:
    def __init__(self):
        self.calls, self.server = 0, ""

    def prepare(self, spec):
        """Starts Ray, or with linked its head with a server for clients."""
        if not spec.get("linked", False):
            return []
        import processes

        port = free_port()
        self.server = f"{HOST}:{port}"
        processes.start([
            "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--num-cpus={wire.threads()}",
            f"--node-ip-address={HOST}", f"--port={free_port()}", f"--ray-client-server-port={port}",
            "--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={self._folder()}",
        ])
        return [self.server]

    def _folder(self):
        return os.path.join(wire.FOLDER, "ray")

    def open(self, spec, proxies):
        import ray

        # The actor's process finds the modules beside this one.
        environment = {"env_vars": {"PYTHONPATH": wire.FOLDER, **SETTINGS}}
        if self.server:
            self._connect(ray, proxies[self.server], environment)
        else:
            ray.init(
                address="local", num_cpus=wire.threads(), include_dashboard=False, log_to_driver=False,
                _node_ip_address=HOST, _temp_dir=self._folder(), runtime_env=environment,
            )
        self.ray = ray
        import ray_actor  # the class by its module's name, not as part of this script

        kind = ray.remote(num_cpus=wire.threads())(ray_actor.Actor)
        self.actor = kind.remote(spec, wire.threads())
        ray.get(self.actor.told.remote())
        return {"transports": "client" if self.server else "driver"}

    def _connect(self, ray, address, environment):
        """Connects by way of the link, as soon as the head lets it: Ray gives up
        after 30 seconds, which starting the client's own server can take longer than."""
        until = wire.now() + PATIENCE_SECONDS * 1_000_000_000
        while True:
            try:
                socket.create_connection(tuple(self.server.split(":")), 1).close()
                ray.init(f"ray://{address}", runtime_env=environment, log_to_driver=False)
                return
            except OSError:  # ConnectionError is one
                if wire.now() > until:
                    raise
                time.sleep(0.1)

    def _call(self, method, *args):
        self.calls += 1
        return self.ray.get(method.remote(*args))

    def start(self, prompts, new, logits):
        return self._call(self.actor.start, prompts, new, logits)

    def step(self, tokens, logits):
        return self._call(self.actor.step, tokens, logits)

    def hold(self, arrays):
        self._call(self.actor.hold, arrays)

    def run(self, op, attrs, arrays):
        named = []
        for name, a in arrays.items():
            named += [name, self.ray.put(a) if a.nbytes > PUT_BYTES else a]
        return self._call(self.actor.run, op, attrs, *named)

    def workers(self):
        return [self.ray.get(self.actor.told.remote())]


def setup():
    os.environ.update(SETTINGS)
    import ray

    import serving
    import torch_models

    return {"ray": ray.__version__, **torch_models.versions()}, serving.operations(Backend())


if __name__ == "__main__":
    wire.run(setup)
