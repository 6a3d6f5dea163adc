"""What there is to compare with: a Starlette handler that parses JSON and answers, and a grpc.aio unary echo."""

import json
import sys

import grpc
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ECHO = "/bench.Echo/Echo"


async def parse(request: Request) -> Response:
    """Parses and answers."""
    json.loads(await request.body())
    return Response('{"status": "ok"}', 202, media_type="application/json")


async def serve_echo(port: int) -> None:
    """Answers what it is sent."""

    async def echo(request: bytes, context: object) -> bytes:
        return request

    server = grpc.aio.server()
    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def main() -> None:
    """`bare.py http|grpc PORT`."""
    port = int(sys.argv[2])
    if sys.argv[1] == "http":
        app = Starlette(routes=[Route("/hooks/{webhook_id}/{token}", parse, methods=["POST"])])
        uvicorn.run(
            app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="error", lifespan="off"
        )
    else:
        uvloop.run(serve_echo(port))


if __name__ == "__main__":
    main()
