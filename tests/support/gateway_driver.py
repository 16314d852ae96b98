"""Serves the stand-in functions of a template; run as a program by test_gateway.py.

Prints its port, then what the functions print. `portable` takes AWS's runtime client without its
native half, as on a system for which there is none.
"""

import asyncio
import signal
import socket
import sys
from pathlib import Path

from local.functions import worker
from local.functions.functions import Functions
from local.functions.output import printer
from local.functions.pool import Pool
from local.gateway.gateway import Gateway
from local.gateway.server import serve
from local.gateway.throttle import read_throttle
from local.site.lifetime import signals_cancel
from local.template.intrinsics import parse
from local.template.template import Function, read_functions

LIMIT = 3


def functions_of(template: Path) -> Functions:
    document = parse(template.read_text())
    pools = {
        each.name: Pool(each, variables(each), limit=LIMIT, print_line=printer(each.name))
        for each in read_functions(document, template.parent)
    }
    return Functions(pools=pools, outputs={}, throttle=read_throttle(document))


def variables(function: Function) -> dict[str, str]:
    return {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.name,
        "AWS_LAMBDA_LOG_STREAM_NAME": "test",
        "PYTHONPATH": "",
        **function.environment,
    }


async def main(template: Path) -> None:
    task = asyncio.current_task()
    assert task is not None
    signals_cancel(task)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        await serve(listener, Gateway(functions_of(template)), lambda: print(port, flush=True))


if __name__ == "__main__":
    if sys.argv[2] == "portable":
        worker.find_spec = lambda name: None
    try:
        asyncio.run(main(Path(sys.argv[1])))
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
