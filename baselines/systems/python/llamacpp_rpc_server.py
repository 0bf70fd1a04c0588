"""llama.cpp's RPC server on this machine's CPU, through the library's own function
for it; it listens on the address that it is given."""

import ctypes
import os
import sys


def main(endpoint, threads):
    import llama_cpp

    import llamacpp_rpc

    folder = os.path.dirname(llama_cpp.__file__)
    llama_cpp.llama_backend_init()
    cpu = llamacpp_rpc.library(folder, "ggml")
    by_type = cpu.ggml_backend_dev_by_type
    by_type.restype, by_type.argtypes = ctypes.c_void_p, [ctypes.c_int]
    devices = (ctypes.c_void_p * 1)(by_type(0))  # GGML_BACKEND_DEVICE_TYPE_CPU
    serve = llamacpp_rpc.functions(folder)["ggml_backend_rpc_start_server"]
    serve(endpoint.encode(), None, int(threads), 1, devices)


if __name__ == "__main__":
    main(*sys.argv[1:])
