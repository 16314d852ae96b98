"""The functions of template.yaml as pools, and the calls that this machine makes to them itself."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from local.functions.invocation import Outcome
from local.functions.output import QuietOutput, printer
from local.functions.pool import Pool
from local.functions.variables import Site
from local.gateway.throttle import Throttle, read_throttle
from local.processes import PROJECT
from local.refusal import CannotRun
from local.template.intrinsics import parse
from local.template.template import read_functions

# Environments for each function; a new AWS account may have as many for all functions together.
CONCURRENCY = 10


@dataclass(frozen=True, kw_only=True)
class Functions:
    """One pool for each function, by its folder's name; those without a route print quietly."""

    pools: dict[str, Pool]
    outputs: dict[str, QuietOutput]
    throttle: Throttle

    async def invoke(self, name: str, event: dict[str, Any]) -> Outcome:
        """Invoke a function that has no route; what it printed is shown if it failed."""
        outcome = await self.pools[name].invoke(json.dumps(event).encode())
        if outcome.failure:
            self.outputs[name].show()
        return outcome

    async def call(self, name: str, event: dict[str, Any]) -> Any:
        """The answer of a function that has no route; it must succeed."""
        outcome = await self.invoke(name, event)
        if outcome.failure:
            raise CannotRun(f"{name}: {outcome.failure}: {outcome.detail}")
        return json.loads(outcome.payload)

    async def command(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The result of an operator command; it must succeed."""
        answer = await self.call("operator", {"command": command, "arguments": arguments})
        if not answer["ok"]:
            raise CannotRun(f"operator: {command}: {answer['problem']['detail']}")
        return answer["result"]

    async def close(self) -> None:
        """End every environment; requests that are still running are answered as stopped."""
        await asyncio.gather(*(pool.close() for pool in self.pools.values()))


def functions_of(site: Site) -> Functions:
    """The project's functions with this machine's settings; each starts when it is first used."""
    template = parse((PROJECT / "template.yaml").read_text(encoding="utf-8"))
    functions = read_functions(template, PROJECT)
    outputs = {each.name: QuietOutput(each.name) for each in functions if not each.routes}
    pools = {
        each.name: Pool(
            each,
            site.variables(each),
            limit=CONCURRENCY,
            print_line=printer(each.name) if each.routes else outputs[each.name].keep,
        )
        for each in functions
    }
    return Functions(pools=pools, outputs=outputs, throttle=read_throttle(template))
