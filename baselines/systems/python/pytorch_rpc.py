"""The workloads by torch.distributed.rpc: this process calls, one call a step, and
a worker process has the model and its cache of keys and values.

On loopback tensors travel as TensorPipe's defaults have it (shared memory among
them). Behind a proxy there is TCP alone, and arrays travel within the message:
for tensors TensorPipe opens further connections, to the address at which the
worker itself says that it listens, past the proxy."""

import queue
import threading

import wire


class Backend:
    def __init__(self):
        self.calls, self.proxied = 0, False

    def prepare(self, spec):
        """Starts the worker. With linked it is joined only as far as its address is known."""
        import torch.distributed as dist

        import processes
        import pytorch_rpc_worker as remote

        self.proxied = spec.get("linked", False)
        self.store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        threads, tcp = str(wire.threads()), str(int(self.proxied))
        self.process = processes.start([remote.__file__, str(self.store.port), tcp, threads])
        self.instead, self.joined = queue.Queue(), queue.Queue()
        if not self.proxied:
            remote.join(remote.CLIENT, self.store, False)
            return []
        found = queue.Queue()
        threading.Thread(target=self._join_behind_proxy, args=(found,), daemon=True).start()
        address = found.get()
        if isinstance(address, BaseException):
            raise address
        return [address]

    def _join_behind_proxy(self, found):
        """Joins with the worker's address replaced. Each side publishes its address
        when its agent starts and reads the other's after that: between making the
        agent and starting it the worker's can be exchanged."""
        import torch.distributed.rpc as rpc

        import pytorch_rpc_worker as remote

        make = rpc.TensorPipeAgent

        def agent(*args):
            made = make(*args)
            self.store.wait([remote.ADDRESS_KEY])
            scheme, address = self.store.get(remote.ADDRESS_KEY).decode().split("://")
            found.put(address)
            self.store.set(remote.ADDRESS_KEY, f"{scheme}://{self.instead.get()[address]}")
            return made

        rpc.TensorPipeAgent = agent
        try:
            remote.join(remote.CLIENT, self.store, True)
            self.joined.put(None)
        except BaseException as e:
            found.put(e)
            self.joined.put(e)
        finally:
            rpc.TensorPipeAgent = make

    def open(self, spec, proxies):
        import torch
        import torch.distributed.rpc as rpc

        import pytorch_rpc_worker as remote

        self.rpc, self.remote, self.from_numpy = rpc, remote, torch.from_numpy
        if self.proxied:
            self.instead.put(proxies)
            failed = self.joined.get()
            if failed:
                raise failed
        self._call(remote.load, dict(spec, threads=wire.threads()), timeout=0)
        self.calls = 0
        return {"transports": "uv" if self.proxied else "default"}

    def _call(self, function, *args, timeout=-1):
        self.calls += 1
        return self.rpc.rpc_sync(self.remote.WORKER, function, args=args, timeout=timeout)

    def _sent(self, arrays):
        return arrays if self.proxied else {k: self.from_numpy(v) for k, v in arrays.items()}

    def _received(self, x):
        return x if self.proxied or x is None else x.numpy()

    def start(self, prompts, new, logits):
        tokens, rows = self._call(self.remote.start, prompts, new, logits)
        return tokens, self._received(rows)

    def step(self, tokens, logits):
        tokens, rows = self._call(self.remote.step, tokens, logits)
        return tokens, self._received(rows)

    def hold(self, arrays):
        self._call(self.remote.hold, self._sent(arrays))

    def run(self, op, attrs, arrays):
        out = self._call(self.remote.run, op, attrs, self._sent(arrays))
        return {k: self._received(v) for k, v in out.items()}

    def workers(self):
        return [self.rpc.rpc_sync(self.remote.WORKER, self.remote.told)]


def setup():
    import serving
    import torch_models

    return torch_models.versions(), serving.operations(Backend())


if __name__ == "__main__":
    wire.run(setup)
