from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from ponder.errors import ModelFileError, ModelRejected
from ponder.messages import Message, Request, ToolCall, ToolSpec, assistant, user
from ponder.models.llama.bindings import Weights
from ponder.models.llama.chat import Chat, read_tool_calls

PLAIN = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"


def weights(template: str | None) -> Weights:
    fake = SimpleNamespace(
        path=Path("m.gguf"),
        chat_template=template,
        special_text=lambda which: f"<{which}>",
        tokenize=lambda text, special=False, bos=False: [
            *([1] if bos else []),
            *text.encode(),
        ],
        piece=lambda token: bytes([token]),
    )
    return cast(Weights, fake)


def test_a_prompt_is_the_template_and_then_the_prefill() -> None:
    chat = Chat(weights(PLAIN + "{% if add_generation_prompt %}[assistant]{% endif %}"))
    request = Request(messages=(user("hi"),), prefill="So")

    assert bytes(chat.prompt(request)[1:]) == b"[user]hi[assistant]So"


def test_bos_is_there_once_whether_the_template_writes_it_or_not() -> None:
    for template in (PLAIN, "{{ bos_token }}" + PLAIN):
        tokens = Chat(weights(template)).opening((user("x"),))
        assert bytes(tokens) in (b"\x01[user]x", b"<bos>[user]x")


def test_prefill_tokens_are_used_only_if_they_spell_the_prefill() -> None:
    chat = Chat(weights(PLAIN))
    fake = cast(SimpleNamespace, chat._weights)
    fake.piece = lambda token: {900: b"So"}.get(token, b"?")
    messages = (user("x"),)
    right = Request(messages=messages, prefill="So", prefill_tokens=(900,))
    wrong = Request(messages=messages, prefill="So", prefill_tokens=(901,))

    assert chat.prompt(right)[-1] == 900
    assert bytes(chat.prompt(wrong)[-2:]) == b"So"


def test_only_the_template_and_the_prefill_open_a_thought() -> None:
    def thinks(template: str, question: str, prefill: str = "") -> bool:
        asked = Request(messages=(user(question),), prefill=prefill)
        return Chat(weights(template)).begins_in_thought(asked)

    end = "{% if add_generation_prompt %}[assistant]{% endif %}"
    opened = "{% if add_generation_prompt %}[assistant]<think>{% endif %}"
    tag = "What does the <think> tag of R1 do?"
    assert not thinks(PLAIN + end, tag)
    assert thinks(PLAIN + opened, "x") and thinks(PLAIN + opened, "</think>")
    assert thinks(PLAIN + end, "x", "<think>So")
    assert not thinks(PLAIN + opened, "x", "So</think>")


def test_a_file_without_a_template_says_so() -> None:
    with pytest.raises(ModelFileError, match=r"m\.gguf' holds no chat template"):
        Chat(weights(None))


def test_a_template_that_is_no_jinja_says_so() -> None:
    with pytest.raises(ModelFileError, match=r"m\.gguf' cannot be read"):
        Chat(weights("{% for %}"))


def test_a_refusal_of_the_template_is_passed_on() -> None:
    chat = Chat(weights("{{ raise_exception('roles must alternate') }}"))

    with pytest.raises(ModelRejected, match="roles must alternate"):
        chat.render((user("x"),))


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ self.__init__.__globals__ }}",
    ],
)
def test_a_template_cannot_break_out(attack: str) -> None:
    with pytest.raises(ModelRejected):
        Chat(weights(attack)).render((user("x"),))


def test_templates_have_the_date_and_plain_json() -> None:
    text = Chat(weights("{{ strftime_now('%Y') }} {{ {'a': '<é>'} | tojson }}")).render(
        (user("x"),)
    )

    assert text[:2] == "20"
    assert text.endswith('{"a": "<é>"}')


def test_tools_and_calls_reach_the_template() -> None:
    template = (
        "{{ tools[0].function.name }} {{ messages[1].tool_calls[0].function.arguments.x"
        " }} {{ messages[2].tool_call_id }} <tool_call>"
    )
    chat = Chat(weights(template))
    call = ToolCall(id="c", name="f", arguments={"x": 3})
    messages = (
        user("q"),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="9", tool_call_id="c"),
    )
    tool = ToolSpec(name="f", description="", parameters={})

    assert chat.has_tools
    assert chat.render(messages, (tool,)) == "f 3 c <tool_call>"
    assert not Chat(weights(PLAIN)).has_tools


def test_tool_calls_are_read_back_and_nonsense_is_none() -> None:
    text = (
        'I call <tool_call>\n{"name": "f", "arguments": {"x": {"y": 1}}}\n</tool_call>'
        '<tool_call>{"name": 3}</tool_call><tool_call>{broken}</tool_call>'
    )

    assert read_tool_calls(text) == (
        ToolCall(id="call_0", name="f", arguments={"x": {"y": 1}}),
    )


def test_a_prompt_that_opens_the_thinking_is_noticed() -> None:
    request = Request(messages=(user("x"),))
    closed = Request(messages=(user("x"),), prefill="sure</think>")

    assert Chat(weights(PLAIN + "<think>\n")).begins_in_thought(request)
    assert not Chat(weights(PLAIN + "<think>\n")).begins_in_thought(closed)
    assert not Chat(weights(PLAIN)).begins_in_thought(request)
    assert not Chat(weights(PLAIN)).begins_in_thought(
        Request(messages=(user("x"), assistant("<think>a</think>b"), user("y")))
    )
