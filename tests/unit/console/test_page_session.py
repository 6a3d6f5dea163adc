"""The page's cookie."""

import asyncio
from typing import Any

import httpx
from vantixs_console.page import COOKIE, Page

TOKEN = "t" * 43


async def test_cookie_opens_the_page_and_is_not_the_token() -> None:
    nobody: Any = None
    app = Page(nobody, TOKEN, asyncio.Event()).app()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://page") as client:
        assert (await client.get("/", params={"token": "wrong"})).status_code == 401
        answer = await client.get("/", params={"token": TOKEN})
        assert answer.is_redirect
        cookie = answer.cookies[COOKIE]
        assert cookie
        assert TOKEN not in answer.headers["set-cookie"]
        client.cookies.clear()
        client.cookies.set(COOKIE, TOKEN)
        assert (await client.get("/")).status_code == 401, "the token is no cookie"
