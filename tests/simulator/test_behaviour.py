import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from simulator.behaviour import Behaviour, Rule
from simulator.clock import Clock
from simulator.settings import DEFAULTS, Fate
from tests.simulator.running import Simulator, apns_token, fcm_token, message

Send = Callable[..., httpx.Response]


def behaviour(seed: int = 1) -> Behaviour:
    return Behaviour(Clock(), seed, dict(DEFAULTS))


def fates(made: Behaviour, tokens: list[str]) -> list[Fate]:
    return [made.decide("fcm", token, f"m-{token}").fate for token in tokens]


def test_the_same_seed_repeats_itself_and_another_does_not() -> None:
    tokens = [f"token-{number}" for number in range(2000)]

    assert fates(behaviour(1), tokens) == fates(behaviour(1), tokens)
    assert fates(behaviour(1), tokens) != fates(behaviour(2), tokens)


def test_defaults_are_believable() -> None:
    made = behaviour()

    found = Counter(fates(made, [f"token-{number}" for number in range(20_000)]))

    assert 0.017 < found[Fate.UNREGISTERED] / 20_000 < 0.023
    assert found[Fate.ACCEPTED] / 20_000 > 0.97
    delays = sorted(made.decide("fcm", "t", f"m-{number}").delay for number in range(5000))
    assert 0.045 < delays[2500] < 0.055
    assert 0.3 < delays[4950] < 0.5


def test_a_bad_try_is_followed_by_a_good_one() -> None:
    made = behaviour()
    made.clouds["fcm"] = replace(DEFAULTS["fcm"], rates={Fate.UNAVAILABLE: 1.0}, tries=2)
    made.changed()

    tries = [made.decide("fcm", "token", "message").fate for _ in range(4)]

    assert tries == [Fate.UNAVAILABLE, Fate.UNAVAILABLE, Fate.ACCEPTED, Fate.ACCEPTED]


def test_a_rule_is_for_its_cloud_and_pattern() -> None:
    made = behaviour()
    made.rules = [Rule(Fate.STALLED, token="abc*", cloud="fcm")]

    assert made.decide("fcm", "abcdef", "m").fate is Fate.STALLED
    assert made.decide("apns", "abcdef", "m").fate is not Fate.STALLED
    assert made.decide("fcm", "xabc", "m").fate is not Fate.STALLED


@pytest.mark.parametrize(
    ("token", "fate"),
    [
        ("fate-unregistered:APA91b", Fate.UNREGISTERED),
        ("fate-lost-answer-17:APA91b", Fate.LOST_ANSWER),
        ("fate-unavailable-once-3:APA91b", Fate.UNAVAILABLE),
        ("fa7ea0a0" + "0" * 56, Fate.LOST_ANSWER),
        ("fa7e2000" + "0" * 56, Fate.ACCEPTED),
    ],
)
def test_tokens_name_their_fate(token: str, fate: Fate) -> None:
    assert behaviour().decide("fcm", token, "m").fate is fate


def test_an_outage_ends(send_fcm: Send, simulator: Simulator) -> None:
    simulator.post("/behaviour", {"fcm": {"outage": "unavailable", "outage_seconds": 60}})

    assert send_fcm(fcm_token()).status_code == 503
    simulator.post("/clock", {"advance": 61})
    assert send_fcm(fcm_token()).status_code == 200


def test_armed_faults_concern_the_pattern_alone(send_fcm: Send, simulator: Simulator) -> None:
    simulator.post("/behaviour", {"rules": [{"token": "aaa*", "fate": "internal", "tries": 1}]})
    body = message("aaa" + fcm_token())

    statuses = [send_fcm(body).status_code, send_fcm(body).status_code]

    assert statuses == [500, 200]
    assert send_fcm(fcm_token()).status_code == 200


def test_latency_lies_between_question_and_answer(send_apns: Send, simulator: Simulator) -> None:
    simulator.post("/behaviour", {"apns": {"latency_ms": 200, "latency_p99_ms": 200}})

    answer = send_apns(apns_token(), apns_id=str(uuid.uuid4()))

    assert answer.elapsed.total_seconds() >= 0.2
