"""RFC 8259, RFC 7493: strict JSON, read-only."""

import copy
import json
import pickle
from datetime import datetime

import msgspec
import pytest

from carnet.jose import strict_json
from carnet.jose.errors import DuplicateMemberError, MalformedError
from carnet.jose.strict_json import MAX_INTEGER, JsonObject, encode_array, encode_object, parse_array, parse_object


@pytest.mark.parametrize(
    "source",
    [
        b"{}",
        b' \t\r\n{"a" : 1 } \n',
        b'{"a":"\\"quoted\\"","b":"\\u0022"}',
        b'{"a":"a:b,c{d}[e]"}',
        '{"a":"é😀\\ud83d\\ude00\\u0000"}'.encode(),
        b'{"a":1.5,"b":-0.0,"c":1e10,"d":-3}',
        b'{"a":true,"b":false,"c":null}',
        b'{"a":[1,"x",[["y"]],{"b":[{"c":"d"}]}],"e":{"f":{"g":"h"}}}',
        b'{"a":9007199254740991,"b":-9007199254740991}',
        b'{"a":[9007199254740991,-9007199254740991]}',
        b'{"":1}',
    ],
)
def test_what_is_strict_json_is_read_as_the_standard_library_reads_it(source):
    def frozen(value):
        if isinstance(value, list):
            return tuple(frozen(item) for item in value)
        return {name: frozen(item) for name, item in value.items()} if isinstance(value, dict) else value

    assert parse_object(source) == frozen(json.loads(source))


@pytest.mark.parametrize(
    "source",
    [
        b'{"a":1,"a":1}',
        b'{"a":"x","a":[1]}',
        b'{"a":{"b":1},"a":{"b":1}}',
        b'{"a":[{"b":"c","b":"c"}]}',
        b'{"a":1,"\\u0061":2}',
        b'{"\\"":1,"\\"":1}',
        b'{"a":"\\"\\"","b":"","a":""}',
        b'{"":1,"":2}',
    ],
)
@pytest.mark.spec("RFC 7519", "4", "MUST")
def test_a_name_that_comes_twice_is_refused_however_it_is_spelt(source):
    with pytest.raises(DuplicateMemberError, match="twice"):
        parse_object(source)


def test_only_an_escaped_quotation_mark_or_a_dropped_member_asks_for_the_second_parse(monkeypatch):
    asked = []
    monkeypatch.setattr(strict_json, "_refuse_duplicates", asked.append)
    parse_object(b'{"a":"b","c":["d",{"e":["f",1],"g":{}}],"h":1,"i":{"j":"k"},"l":null,"m":[]}')
    parse_array(b'["a",["b",{"c":["d"],"e":"f"}],1,[],{}]')
    assert asked == []
    for source, parse in ((b'{"a":"\\""}', parse_object), (b'{"a":1,"a":1}', parse_object), (b'["\\""]', parse_array)):
        parse(source)
        assert asked.pop() == source


def test_a_name_may_come_again_in_another_object():
    assert parse_object(b'{"a":{"a":{"a":"\\""}},"b":[{"a":1},{"a":1}]}')["a"]["a"]["a"] == '"'


@pytest.mark.parametrize("source", [b"[" * 100_000, b'{"a":' * 50_000, b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"])
def test_deep_nesting_is_refused_without_exhausting_the_stack(source):
    with pytest.raises(MalformedError):
        parse_object(source)


def test_a_deep_value_that_a_duplicate_would_hide_is_refused():
    deep = b"[" * 900 + b"]" * 900
    with pytest.raises(MalformedError):
        parse_object(b'{"a":' + deep + b',"a":1}')


def test_a_value_as_deep_as_one_parser_takes_and_the_other_does_not_is_refused():
    for depth in range(600, 1000):
        with pytest.raises(MalformedError):
            parse_object(b'{"a":' + b"[" * depth + b"]" * depth + b',"a":1}')


def test_a_stack_that_is_nearly_used_up_makes_a_refusal_and_not_a_crash():
    source = b'{"a":' + b"[" * 60 + b"]" * 60 + b',"a":1}'

    def descend():
        try:
            return descend()
        except RecursionError:
            with pytest.raises((MalformedError, RecursionError)):
                parse_object(source)
            return "refused"

    assert descend() == "refused"


def test_what_was_parsed_cannot_be_changed():
    value = parse_object(b'{"a":{"b":[1]},"c":2}')
    for act in (
        lambda: value.__setitem__("a", 1),
        lambda: value.__delitem__("a"),
        lambda: value["a"].update(b=1),
        lambda: value.pop("a"),
        value.popitem,
        lambda: value.setdefault("x", 1),
        value.clear,
        lambda: value.__ior__({"x": 1}),
        lambda: value["a"]["b"].append(2),
    ):
        with pytest.raises((TypeError, AttributeError)):
            act()
    assert value == {"a": {"b": (1,)}, "c": 2}


def test_what_was_parsed_is_written_and_copied_like_any_dict():
    value = parse_object(b'{"a":{"b":[1]},"c":2}')
    assert json.loads(json.dumps(value)) == {"a": {"b": [1]}, "c": 2}
    assert msgspec.json.encode(value) == encode_object(value) == b'{"a":{"b":[1]},"c":2}'
    assert {**value, "d": 1}["d"] == 1
    for twin in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
        assert twin == value
        assert isinstance(twin, JsonObject)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        b"octets",
        datetime(2026, 1, 1),
        {1, 2},
        object(),
        {1: "a name that is no string"},
        [[float("nan")]],
        {"x": [b""]},
        "\ud800",
        ["\udfff"],
        {"\ud800": 1},
    ],
)
def test_what_json_does_not_have_is_not_written(value):
    with pytest.raises(MalformedError):
        encode_object({"a": value})


def nested(depth, *, arrays):
    value = 1
    for _ in range(depth):
        value = [value] if arrays else {"a": value}
    return {"a": value}


@pytest.mark.parametrize("arrays", [True, False])
def test_what_is_written_can_be_read_back_to_the_same_depth(arrays):
    assert parse_object(encode_object(nested(15, arrays=arrays)))
    for act in (encode_object, lambda value: parse_object(json.dumps(value).encode())):
        with pytest.raises(MalformedError, match="deep"):
            act(nested(16, arrays=arrays))


def test_the_greatest_and_the_least_integer_can_be_written():
    assert parse_object(encode_object({"a": MAX_INTEGER, "b": -MAX_INTEGER})) == {"a": MAX_INTEGER, "b": -MAX_INTEGER}
    for beyond in (MAX_INTEGER + 1, -MAX_INTEGER - 1):
        for value in (beyond, [beyond], {"b": beyond}):
            with pytest.raises(MalformedError, match="2\\^53"):
                encode_object({"a": value})


def test_any_mapping_and_all_values_of_json_can_be_written():
    from types import MappingProxyType

    value = MappingProxyType({"a": None, "b": True, "c": (1, 2.5, "x"), "d": {"e": []}})
    assert parse_object(encode_object(value)) == {"a": None, "b": True, "c": (1, 2.5, "x"), "d": {"e": ()}}


@pytest.mark.parametrize(
    "source",
    [b"{}", b'"x"', b"1", b"", b"[1,]", b"[NaN]", b"[9007199254740992]", b"[" * 17 + b"]" * 17, b'[{"a":1,"a":1}]'],
)
def test_an_array_is_read_as_strictly(source):
    with pytest.raises(MalformedError):
        parse_array(source)


def test_an_array_is_written_and_read_back():
    value = ["salt", 'na"me', {"a": [1, None, True]}]
    assert parse_array(encode_array(value)) == ("salt", 'na"me', {"a": (1, None, True)})
    with pytest.raises(MalformedError):
        encode_array([float("nan")])


def test_an_array_is_sixteen_deep_at_most():
    deep = [1]
    for _ in range(15):
        deep = [deep]
    assert parse_array(encode_array(deep))
    for act in (encode_array, lambda value: parse_array(json.dumps(value).encode())):
        with pytest.raises(MalformedError, match="deep"):
            act([deep])
