"""When a vendor says to come back, in every form that vendors use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safecall_lint.runtime._headers import LONGEST_WAIT, quota_left, retry_after
from safecall_lint.runtime.testing._clock import NEW_YEAR_2026


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "2"}, 2),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After-Ms": "250", "Retry-After": "1"}, 0.25),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:30 GMT"}, 30),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:30"}, 30),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:30 GMT", "Date": "Thu, 01 Jan 2026 00:00:20 GMT"}, 10),
        ({"Retry-After": "Wed, 31 Dec 2025 23:59:00 GMT"}, 0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, 0.02),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "1m5.5s",
            },
            65.5,
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:09Z",
            },
            9,
        ),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NEW_YEAR_2026) + 10)}, 10),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "12"}, 12),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "6m0s"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "1_000"}, None),
        ({"Retry-After": "\u0663"}, None),
        ({"Retry-After": "\u0663s"}, None),
        ({"Retry-After": "Mon, 01 Jan 99999999999999 00:00:00 GMT"}, None),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 +99999999"}, None),
        ({"Retry-After": "0001-01-01T00:00:00+23:59"}, 0),
        ({"Retry-After": "9999-12-31T23:59:59-23:59"}, LONGEST_WAIT),
        (
            {
                "Retry-After": "Thu, 01 Jan 2026 00:00:30 GMT",
                "Date": "Mon, 01 Jan 99999999999999 00:00:00 GMT",
            },
            30,
        ),
        ({}, None),
        ({"Retry-After": "4294967"}, LONGEST_WAIT),
    ],
)
def test_every_form_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, wall=NEW_YEAR_2026) == (None if seconds is None else pytest.approx(seconds))


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date", "x-ratelimit-reset"]), st.text()))
def test_no_text_breaks_the_reader(headers: dict[str, str]) -> None:
    wait = retry_after({"x-ratelimit-remaining": "0"} | headers, wall=NEW_YEAR_2026)
    assert wait is None or 0 <= wait <= LONGEST_WAIT


@given(
    st.sampled_from(["retry-after", "date", "x-ratelimit-reset-requests"]),
    st.from_regex(
        r"((Mon, )?[0-9]{1,20} Jan [0-9]{1,20} [0-9]{1,3}:[0-9]{1,3}(:[0-9]{1,20})? (GMT|[+-][0-9]{1,20})"
        r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[+-][0-9]{2}:[0-9]{2})",
        fullmatch=True,
    ),
)
def test_no_date_breaks_the_reader(name: str, date: str) -> None:
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1800000000"} | {name: date}
    wait = retry_after(headers, wall=NEW_YEAR_2026)
    assert wait is None or 0 <= wait <= LONGEST_WAIT
    quota_left(headers, wall=NEW_YEAR_2026)
