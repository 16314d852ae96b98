"""The warm processes, each one execution environment of a function."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.built import Programs
from tests.bench.data import Database
from tests.bench.programs import Worker, working


@dataclass(frozen=True, kw_only=True)
class Workers:
    programs: Programs
    log: Path

    def check(self, database: Database) -> AbstractContextManager[Worker]:
        program = self.programs.permit("warm_check", "LicenceCheckFunction")
        variables = database.deployment.environ("licence_check")
        return working(program, variables, "licence_check", self.log)

    def fastapi(self, database: Database) -> AbstractContextManager[Worker]:
        program = self.programs.of_fastapi("warm_fastapi")
        variables = database.deployment.environ("licence_check")
        return working(program, variables, "licence_check", self.log)

    def floor(self, database: Database, function: str) -> AbstractContextManager[Worker]:
        """The floors, connected as this function is."""
        program = self.programs.minimum("warm_floor")
        return working(program, database.deployment.environ(function), function, self.log)

    def loaded_check(self, database: Database) -> AbstractContextManager[Worker]:
        program = self.programs.permit("load_check", "LicenceCheckFunction")
        variables = database.deployment.environ("licence_check")
        return working(program, variables, "licence_check", self.log)

    def loaded_call(self, database: Database) -> AbstractContextManager[Worker]:
        program = self.programs.minimum("load_call")
        variables = database.deployment.environ("licence_check")
        return working(program, variables, "licence_check", self.log)

    def vendor(self, database: Database, api_key: str) -> AbstractContextManager[Worker]:
        program = self.programs.permit("warm_vendor", "LicencesFunction")
        variables = {**database.deployment.environ("licences"), "BENCH_API_KEY": api_key}
        return working(program, variables, "licences", self.log)

    def login(self, database: Database) -> AbstractContextManager[Worker]:
        program = self.programs.permit("warm_login", "LoginFunction")
        variables = database.deployment.environ("login")
        return working(program, variables, "login", self.log)
