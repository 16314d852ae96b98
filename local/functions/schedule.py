"""In EventBridge's place: invokes the functions that have a schedule, each at its rate."""

import asyncio
from datetime import UTC, datetime

from local.functions.functions import Functions
from local.gateway.events import schedule_event
from local.template.template import Schedule


async def run_schedules(functions: Functions) -> None:
    """Invoke until cancelled."""
    async with asyncio.TaskGroup() as group:
        for name, pool in functions.pools.items():
            for schedule in pool.function.schedules:
                group.create_task(_repeat(functions, name, schedule))


async def _repeat(functions: Functions, name: str, schedule: Schedule) -> None:
    while True:
        # First after one interval, as EventBridge does.
        await asyncio.sleep(schedule.every_seconds)
        await functions.invoke(name, schedule_event(schedule, datetime.now(UTC)))
