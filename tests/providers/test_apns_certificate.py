"""Logging in to APNs by a client certificate, against the simulated cloud."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import hashes

from providers.apns import ApnsProvider
from providers.base import Addressed, CredentialError, Network, Outcome, PushNotification, Verdict
from providers.certificates import ClientCertificate
from tests.providers.keys import make_apple_certificate, make_service_account
from tests.providers.running import run
from tests.simulator.running import CALM, Simulator, apns_token

TOPIC = "com.example.shop"


@pytest.fixture(scope="module")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    running = Simulator(tmp_path_factory.mktemp("gateways"))
    yield running
    running.stop()


@pytest.fixture
def simulator(_running: Simulator) -> Simulator:
    _running.post("/reset", {"credentials": True})
    _running.post("/behaviour", CALM)
    return _running


def make_provider(simulator: Simulator, certificate: tuple[str, str], **given: Any) -> ApnsProvider:
    network = Network(("127.0.0.1", simulator.port), simulator.ca_file)
    fields: dict[str, Any] = {
        "topic": TOPIC,
        "certificate_pem": "".join(certificate),
        "network": network,
    }
    return ApnsProvider(**(fields | given))


def send(provider: ApnsProvider, count: int = 1) -> list[Outcome]:
    async def scenario() -> list[Outcome]:
        payload = provider.compile(PushNotification(text="Hello"))
        window = [
            Addressed(payload, UUID(int=number), apns_token(), ttl=60) for number in range(count)
        ]
        outcomes = await provider.send(window)
        await provider.close()
        return outcomes

    return run(scenario())


def trust(simulator: Simulator, certificate: tuple[str, str]) -> None:
    simulator.post("/credentials", {"apns_certificates": [{"certificate_pem": certificate[0]}]})


def test_a_certificate_sends_without_a_token(simulator: Simulator) -> None:
    certificate = make_apple_certificate()
    trust(simulator, certificate)

    outcomes = send(make_provider(simulator, certificate), count=50)

    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    assert simulator.get("/ledger")["apns"]["accepted"] == 50
    assert simulator.get("/statistics")["provider_tokens"] == 0


@pytest.mark.parametrize("environment", ["production", "sandbox"])
def test_a_certificate_for_both_environments_is_tested_in_each(
    simulator: Simulator, environment: str
) -> None:
    certificate = make_apple_certificate()
    trust(simulator, certificate)

    tested = run(make_provider(simulator, certificate, environment=environment).test())

    assert (tested.verdict, tested.reason) == (Verdict.ACCEPTED, "BadDeviceToken")


def wrong_environment(simulator: Simulator) -> ApnsProvider:
    certificate = make_apple_certificate(environments=["sandbox"])
    trust(simulator, certificate)
    return make_provider(simulator, certificate)


def other_app(simulator: Simulator) -> ApnsProvider:
    certificate = make_apple_certificate("com.example.other")
    trust(simulator, certificate)
    return make_provider(simulator, certificate)


def unknown(simulator: Simulator) -> ApnsProvider:
    return make_provider(simulator, make_apple_certificate())


def revoked(simulator: Simulator) -> ApnsProvider:
    certificate = make_apple_certificate()
    trust(simulator, certificate)
    shown = ClientCertificate.read("".join(certificate)).chain[0]
    assert send(make_provider(simulator, certificate))[0].verdict is Verdict.ACCEPTED
    key_id = shown.fingerprint(hashes.SHA256()).hex()
    simulator.post("/credentials/revoke", {"cloud": "apns_certificates", "key_id": key_id})
    return make_provider(simulator, certificate)


def ended(simulator: Simulator) -> ApnsProvider:
    certificate = make_apple_certificate(days=-1)
    trust(simulator, certificate)
    return make_provider(simulator, certificate)


@pytest.mark.parametrize(
    ("make", "reason", "remedy"),
    [
        (wrong_environment, "BadCertificateEnvironment", "not for Apple's production environment"),
        (other_app, "BadTopic", "bundle ID com.example.shop"),
        (unknown, "CertificateRefused", "does not accept this certificate"),
        (revoked, "BadCertificate", "does not accept this certificate"),
        (ended, "CertificateExpired", "This certificate ended on"),
    ],
)
def test_a_wrong_certificate_loses_nothing_and_says_what_to_do(
    simulator: Simulator,
    make: Callable[[Simulator], ApnsProvider],
    reason: str,
    remedy: str,
) -> None:
    sent = send(make(simulator), count=5)
    tested = run(make(simulator).test())

    assert {outcome.verdict for outcome in [*sent, tested]} == {Verdict.MISCONFIGURED}
    assert {outcome.reason for outcome in [*sent, tested]} == {reason}
    assert remedy in sent[0].remedy
    assert sent[0].remedy == tested.remedy


def test_a_certificate_that_ends_while_we_run_is_not_shown_any_more(simulator: Simulator) -> None:
    certificate = make_apple_certificate(days=1)
    trust(simulator, certificate)
    later = time.time() + 2 * 86_400

    [outcome] = send(make_provider(simulator, certificate, clock=lambda: later))

    assert outcome.reason == "CertificateExpired"
    assert simulator.get("/ledger")["apns"]["accepted"] == 0


CERTIFICATE, KEY = make_apple_certificate()
OTHER_CERTIFICATE, OTHER_KEY = make_apple_certificate()


def test_certificate_key_and_issuers_may_come_in_any_order() -> None:
    read = ClientCertificate.read(f"{KEY}{OTHER_CERTIFICATE}noise\n{CERTIFICATE}")

    assert read.chain == ClientCertificate.read(f"{CERTIFICATE}{OTHER_CERTIFICATE}{KEY}").chain
    assert KEY not in repr(read)


@pytest.mark.parametrize(
    ("pem", "problem"),
    [
        (CERTIFICATE, "without its private key"),
        (KEY, "holds no certificate"),
        (CERTIFICATE + OTHER_KEY, "of another certificate"),
        (KEY + CERTIFICATE.replace("M", "#", 3), "holds no certificate"),
        (CERTIFICATE + KEY.replace("M", "#"), "cannot be read"),
        (CERTIFICATE + str(make_service_account()["private_key"]), "of another certificate"),
    ],
    ids=["no key", "no certificate", "other key", "torn certificate", "torn key", "other kind"],
)
def test_what_cannot_be_a_certificate_says_why(pem: str, problem: str) -> None:
    with pytest.raises(CredentialError, match=problem) as refusal:
        ApnsProvider(topic=TOPIC, certificate_pem=pem, network=Network())

    assert refusal.value.field == "certificate_pem"
