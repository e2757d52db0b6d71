"""pushadmin.logs: what happened, never what was in the variables."""

import json
import logging
import logging.config

import pytest

from pushadmin.logs import logging_settings


@pytest.mark.parametrize("as_json", [True, False])
def test_tracebacks_do_not_show_values(
    as_json: bool, capsys: pytest.CaptureFixture[str], restored_logging: None
) -> None:
    logging.config.dictConfig(logging_settings(level="INFO", as_json=as_json))

    secret = "VERY-SECRET"

    def fail() -> None:
        device_token = secret.lower()
        raise ValueError(len(device_token))

    try:
        fail()
    except ValueError:
        logging.getLogger("test").exception("a push failed")

    written = capsys.readouterr().err
    assert "a push failed" in written
    assert "ValueError" in written
    assert "very-secret" not in written


def test_json_lines_can_be_read_by_machines(
    capsys: pytest.CaptureFixture[str], restored_logging: None
) -> None:
    logging.config.dictConfig(logging_settings(level="INFO", as_json=True))

    logging.getLogger("campaigns").info("bulk %s frozen", 7)

    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "bulk 7 frozen"
    assert line["level"] == "info"
    assert line["logger"] == "campaigns"


@pytest.mark.parametrize("rest", ["", "/0f8fad5b-d9cb-469f-a165-70867728950e"])
def test_the_address_of_a_gateways_reports_is_not_written_down(
    rest: str, capsys: pytest.CaptureFixture[str], restored_logging: None
) -> None:
    logging.config.dictConfig(logging_settings(level="INFO", as_json=True))

    path = f"/callbacks/sms/17/vSQyXEIp0Dd8QvK2{rest}"
    logging.getLogger("django.request").warning("%s: %s", "Bad Request", path)

    line = json.loads(capsys.readouterr().err)
    assert line["event"] == f"Bad Request: /callbacks/sms/17/…{rest}"
