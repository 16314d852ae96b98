"""Who may do what in the database: role by function, role by table, and what no role has."""

import pytest

from permit.migrate import LOGIN_ROLES
from tests.support.deployment import Deployment, connected

DOORS = {
    "permit_check": {
        *("check_key", "claim_seat_by_key", "release_seat", "count_usage"),
        *("check_licence", "claim_seat", "release_device"),  # as the release before calls them
    },
    "permit_login": {
        *("admit_password", "take_back_attempt", "open_session", "admit_code"),
        *("open_verified_session", "admit_proof", "prove_self", "refresh_session"),
        "close_session",
        # As the version before calls them.
        *("admit_sign_in", "begin_session", "renew_session", "end_session"),
        *("admit_second_factor", "begin_verified_session"),
    },
    "permit_public": {"health", "list_proof_keys"},
    "permit_sweep": {
        *("sweep", "sweep_vendor", "list_holders_to_fold", "keep_folded_holders"),
        *("list_emails_to_fold", "keep_folded_emails"),
    },
    "permit_vendor": {
        *("enter_with_token", "enter_with_api_key", "seat_device"),
        *("claim_sealed_answer", "keep_answer"),
        *("change_member", "find_linked", "redeem_link", "admit_own_password"),
        *("replace_own_password", "confirm_second_factor", "remove_second_factor"),
        "require_second_factor",
        # As the version before calls them.
        *("enter", "find_link", "use_link", "admit_proof_of_self", "change_own_password"),
        "claim_answer",
    },
    "permit_operator": {
        *("enter_by_command", "find_account", "seat_device", "remove_second_factor"),
        *("list_sealed_keys", "list_sealed_factors", "count_sealed_keys"),
        *("replace_seal", "replace_factor_seal", "close_tenant", "erase_tenant"),
    },
}
# With the rights of whoever calls them.
FUNCTIONS = {
    "permit_vendor": {
        *("clock", "current_tenant", "is_duration", "seat_limit", "licence_status", "seats_used"),
        *("seen_lag", "seat_lapses_at", "has_lapsed", "is_seat_free", "device_state"),
        *("last_checked_at", "replace_licence_key"),
        *("meters_of", "period_at", "later", "works_until", "renewed_term", "changed_term"),
    },
    "permit_operator": {
        *("clock", "current_tenant", "is_duration", "seat_limit", "licence_status", "seats_used"),
        *("seen_lag", "seat_lapses_at", "has_lapsed", "is_seat_free", "device_state"),
        *(
            "last_checked_at",
            "replace_licence_key",
            "later",
            "works_until",
            "renewed_term",
            "changed_term",
        ),
    },
}
WRITES = {"SELECT", "INSERT", "UPDATE"}
TABLES = {
    "permit_vendor": {
        "tenants": {"SELECT"},
        "users": WRITES,
        "recovery_codes": {"SELECT", "INSERT", "DELETE"},
        "user_links": {"SELECT", "INSERT"},
        "api_keys": WRITES,
        "products": WRITES,
        "policies": WRITES | {"DELETE"},
        "licences": WRITES,
        "licence_keys": WRITES,
        "devices": {"SELECT", "UPDATE"},
        "licence_checks": {"SELECT"},
        "usage": {"SELECT", "UPDATE"},
        "audit_events": {"SELECT"},
    },
    "permit_operator": {
        "tenants": WRITES,
        "users": WRITES,
        "products": WRITES,
        "policies": WRITES,
        "licences": WRITES,
        "licence_keys": WRITES,
        "proof_keys": WRITES,
        "devices": {"SELECT", "UPDATE"},
        "sessions": {"SELECT"},
        "swaps": {"SELECT"},
        "licence_checks": {"SELECT"},
        "api_keys": {"SELECT"},
        "recovery_codes": {"SELECT", "DELETE"},
        "audit_events": {"SELECT"},
        "usage": {"SELECT"},
    },
}
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_a_role_executes_its_doors_and_no_more(deployment: Deployment, role: str) -> None:
    """Role by function: what is not in the table above is refused."""
    rows = deployment.sql(
        """
        SELECT p.proname FROM pg_proc AS p
         WHERE p.pronamespace = 'permit'::regnamespace
           AND has_function_privilege(%s, p.oid, 'EXECUTE')
        """,
        role,
    )

    assert DOORS[role] | FUNCTIONS.get(role, set()) == {name for (name,) in rows}


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_a_role_reaches_its_tables_and_no_more(deployment: Deployment, role: str) -> None:
    """Role by table by privilege, columns included; permit_check reads no table at all."""
    rows = deployment.sql(
        """
        SELECT c.relname, privilege
          FROM pg_class AS c, unnest(%s::text[]) AS privilege
         WHERE c.relnamespace = 'permit'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
           AND (has_table_privilege(%s, c.oid, privilege)
                OR privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
                   AND has_any_column_privilege(%s, c.oid, privilege))
        """,
        list(PRIVILEGES),
        role,
        role,
    )

    held: dict[str, set[str]] = {}
    for table, privilege in rows:
        held.setdefault(table, set()).add(privilege)
    assert TABLES.get(role, {}) == held


def test_public_executes_nothing(deployment: Deployment) -> None:
    """Postgres gives every new function to everyone; here each is granted by name."""
    rows = deployment.sql(
        """
        SELECT p.proname
          FROM pg_proc AS p,
               aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS granted
         WHERE p.pronamespace = 'permit'::regnamespace AND granted.grantee = 0
        """
    )

    assert [] == rows


def test_doors_are_owned_by_a_role_without_powers(deployment: Deployment) -> None:
    """Every SECURITY DEFINER function is permit_doors', with a search_path that is fixed."""
    rows = deployment.sql(
        """
        SELECT p.proname, pg_get_userbyid(p.proowner), p.proconfig
          FROM pg_proc AS p
         WHERE p.pronamespace = 'permit'::regnamespace AND p.prosecdef
           AND p.proname <> 'clock'  -- which the tests replace by one of their own
        """
    )

    fixed = ["search_path=pg_catalog, permit, pg_temp"]
    # A trigger's runs by its trigger alone.
    triggers = {"record_change", "record_part", "stamp_link", "fold_anew"}
    assert set().union(*DOORS.values(), triggers) == {name for name, _, _ in rows}
    assert {("permit_doors", str(fixed))} == {(owner, str(path)) for _, owner, path in rows}


def test_no_role_has_powers(deployment: Deployment) -> None:
    """No superuser, nobody past row-level security; the owners cannot sign in, others can."""
    rows = deployment.sql(
        """
        SELECT rolname, rolcanlogin,
               rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication
          FROM pg_roles WHERE starts_with(rolname, 'permit_')
        """
    )

    owners = {"permit_owner": False, "permit_doors": False}
    assert owners | dict.fromkeys(LOGIN_ROLES, True) == {name: login for name, login, _ in rows}
    assert not any(has_power for _, _, has_power in rows)


def test_no_login_role_is_a_member_of_another(deployment: Deployment) -> None:
    """SET ROLE leads nowhere."""
    rows = deployment.sql(
        """
        SELECT member::regrole::text, roleid::regrole::text FROM pg_auth_members
         WHERE member::regrole::text = ANY (%s)
        """,
        list(LOGIN_ROLES),
    )

    assert [] == rows


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_defaults_live_on_the_role(deployment: Deployment, role: str) -> None:
    """A session is bounded from its first statement, without a SET that would pin it."""
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")

    with connected(deployment, role) as connection:
        values = [connection.execute(f"SHOW {name}").fetchone() for name in names]
        path = connection.execute("SHOW search_path").fetchone()

    slow = "1min" if role in ("permit_operator", "permit_sweep") else "8s"
    assert [(slow,), ("3s",), ("15s",)] == values
    assert ("permit, pg_catalog",) == path
