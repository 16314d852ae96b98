"""An HTTP API that is described by its Body, as SAM makes it."""

from typing import Any

from ministack.services import apigateway
from ministack.services.cloudformation import provisioners

from lacking.handlers import HANDLERS, Made


def add_routes_of_a_body() -> None:
    """An HTTP API's Body, which is all that SAM makes of it: its routes and its CORS."""
    api = HANDLERS["AWS::ApiGatewayV2::Api"]
    make, change = api["create"], api["update"]

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Made:
        api_id, attributes = make(logical_id, configured(properties), stack)
        route(api_id, properties["Body"])
        return api_id, attributes

    def update(
        api_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str
    ) -> Made:
        made = change(api_id, configured(old), configured(new), stack, logical_id)
        route(api_id, new["Body"])
        return made

    api.update(create=create, update=update, update_with_logical_id=True)


def configured(properties: dict[str, Any]) -> dict[str, Any]:
    """The properties, with what the body says of names, CORS and the default address."""
    body = properties["Body"]
    [server] = body.get("servers", [{}])
    endpoint = server.get("x-amazon-apigateway-endpoint-configuration", {})
    cors = body.get("x-amazon-apigateway-cors")
    return {
        **properties,
        "Name": body["info"]["title"],
        "DisableExecuteApiEndpoint": endpoint.get("disableExecuteApiEndpoint", False),
        **({"CorsConfiguration": cors} if cors else {}),
    }


def route(api_id: str, body: dict[str, Any]) -> None:
    apigateway._routes[api_id] = {}
    apigateway._integrations[api_id] = {}
    for path, methods in body["paths"].items():
        for method, operation in methods.items():
            asked = operation["x-amazon-apigateway-integration"]
            integration, _ = provisioners._apigw_v2_integration_create(
                path, {"ApiId": api_id, "IntegrationUri": asked["uri"]}, ""
            )
            verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
            target = f"integrations/{integration}"
            given = {"ApiId": api_id, "RouteKey": f"{verb} {path}", "Target": target}
            provisioners._apigw_v2_route_create(path, given, "")
