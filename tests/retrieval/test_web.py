"""Searching the web through a stand-in on this machine."""

from typing import Any

import pytest

from ponder.errors import InvalidParameter, RetrievalError
from ponder.retrieval.web import WebSearch, page_text
from tests.support.web_server import Reply, page, results, web

LYON = {
    "url": "https://a.example/lyon",
    "title": "Lyon &amp; the <b>Rhone</b>",
    "content": "Lyon lies on the Rh&ocirc;ne &#8211; and\n the <em>Saone</em>.",
    "score": 2.5,
}
PARIS = {"url": "https://b.example/", "title": "Paris", "content": None}


def searcher(url: str, **options: Any) -> WebSearch:
    return WebSearch(url, **{"pause": 0.0, "timeout": 5.0, **options})


async def test_results_become_passages_without_mark_up() -> None:
    async with web(results(LYON, PARIS, LYON)) as server:
        found = await searcher(server.url, language="en").search("where is Lyon?", 5)
    assert server.asked == [
        {"q": ["where is Lyon?"], "format": ["json"], "language": ["en"]}
    ]
    assert [p.id for p in found] == ["https://a.example/lyon", "https://b.example/"]
    assert found[0].text == "Lyon lies on the Rhône – and the Saone."
    assert found[0].title == "Lyon & the Rhone"
    assert found[0].place == "https://a.example/lyon"
    assert found[0].score == 2.5
    assert found[1].text == "Paris"


async def test_at_most_k_and_none_where_nothing_is_found() -> None:
    async with web(results(LYON, PARIS), results()) as server:
        search = searcher(server.url + "/search")
        assert len(await search.search("q", 1)) == 1
        assert await search.search("q", 1) == []


async def test_results_that_are_none_are_left_out() -> None:
    odd: list[Any] = [{"url": "ftp://x"}, {"title": "t"}, "text", {"url": 3}, None]
    async with web(results(*odd, {"url": "http://e.example"}, PARIS)) as server:
        assert [p.title for p in await searcher(server.url).search("q", 9)] == ["Paris"]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_passing_fault_is_tried_again(status: int) -> None:
    async with web(Reply(status=status), results(LYON)) as server:
        assert len(await searcher(server.url).search("q", 5)) == 1
    assert len(server.asked) == 2


async def test_the_tries_are_bounded() -> None:
    async with web(Reply(status=503)) as server:
        with pytest.raises(RetrievalError, match=r"after 3 tries: status 503.*running"):
            await searcher(server.url).search("q", 5)
    assert len(server.asked) == 3


async def test_a_slow_engine_is_given_up_in_time() -> None:
    async with web(Reply(delay=30.0)) as server:
        with pytest.raises(RetrievalError, match="1 tries"):
            await searcher(server.url, timeout=0.1, retries=0).search("q", 5)


async def test_an_engine_that_is_not_there_is_named() -> None:
    async with web(results()) as server:
        gone = server.url
    with pytest.raises(RetrievalError, match=gone):
        await searcher(gone, retries=0).search("q", 5)


@pytest.mark.parametrize(
    ("reply", "remedy"),
    [
        (Reply(status=403), "search.formats"),
        (Reply(status=404), "base address"),
        (Reply(b"<html>hello</html>"), "SearXNG's JSON"),
        (Reply(b'{"results": '), "SearXNG's JSON"),
        (Reply(b"[1]"), "SearXNG's JSON"),
        (Reply(b'{"results": 3}'), "no list"),
    ],
)
async def test_what_is_no_result_names_the_remedy(reply: Reply, remedy: str) -> None:
    async with web(reply) as server:
        with pytest.raises(RetrievalError, match=remedy):
            await searcher(server.url).search("q", 5)
    assert len(server.asked) == 1


async def test_pages_are_fetched_and_read() -> None:
    source = (
        "<html><head><title>T</title></head><body><script>var x = 1;</script>"
        "<h1>Lyon</h1><p>On the\nRh&ocirc;ne.</p><p>Big.</p></body></html>"
    )
    pages = {"/lyon": page(source), "/moved": Reply(status=302)}
    async with web(results(), pages=pages) as server:
        pages["/moved"].headers["Location"] = f"{server.url}/lyon"
        here = [dict(LYON, url=f"{server.url}/{n}") for n in ("lyon", "moved")]
        server.searches = [results(*here)]
        found = await searcher(server.url, pages=True).search("q", 5)
    assert [p.text for p in found] == ["Lyon\nOn the Rhône.\nBig."] * 2
    assert (found[0].start, found[0].end) == (0, len(found[0].text))


async def test_a_page_that_cannot_be_read_is_represented_by_its_extract() -> None:
    pages = {
        "/slow": page("late", delay=30.0),
        "/pdf": page("%PDF", kind="application/pdf"),
        "/loop": Reply(status=302, headers={"Location": "/loop"}),
    }
    async with web(results(), pages=pages) as server:
        urls = [f"{server.url}/{name}" for name in ("slow", "pdf", "loop", "missing")]
        server.searches = [results(*(dict(LYON, url=url) for url in urls))]
        search = searcher(server.url, pages=True, timeout=0.5)
        found = await search.search("q", 5)
    assert [p.text[:4] for p in found] == ["Lyon"] * 4
    assert server.fetched.count("/loop") == 4


async def test_private_addresses_are_not_fetched() -> None:
    async with web(page("secret")) as secret:
        urls = [
            secret.url + "/x",
            secret.url.replace("127.0.0.1", "localhost") + "/x",
            "http://192.168.0.1/",
            "http://[::1]/",
        ]
        found = results(*(dict(LYON, url=url) for url in urls))
        async with web(found) as server:
            passages = await searcher(server.url, pages=True).search("q", 5)
    assert secret.fetched == []
    assert all(p.text.startswith("Lyon") for p in passages)
    assert len(passages) == 4


@pytest.mark.parametrize(
    "options", [{"url": "searx"}, {"timeout": 0}, {"retries": -1}, {"pause": -1}]
)
def test_bad_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        WebSearch(**{"url": "http://localhost:8080", **options})


def test_the_text_of_a_page_is_what_people_see() -> None:
    assert page_text("a<br>b <i>c</i>&amp;d<style>x</style><div>e") == "a\nb c&d\ne"
    assert page_text("<head><title>t</title><body><svg><g>1</svg>seen") == "seen"
