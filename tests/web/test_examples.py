"""The examples that docs point to: they parse, and name numbers that the service tells."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from nearer.web.metrics import Metrics

EXAMPLES = Path(__file__).parents[2] / "docs/examples"


def told():
    """The names of all numbers, as Prometheus stores them."""
    metrics = Metrics()
    metrics.request(route="/", method="GET", status=200, seconds=1.0)
    metrics.search({"rank": 1.0})
    metrics.batch(1, 0.1)
    metrics.swapped("release-1")
    return set(re.findall(r"^(nearer_\w+)", metrics.text().decode(), flags=re.MULTILINE))


def expressions(name):
    content = (EXAMPLES / name).read_text(encoding="utf-8")
    if name.endswith(".json"):
        return [target["expr"] for panel in json.loads(content)["panels"] for target in panel["targets"]]
    return [rule["expr"] for group in yaml.safe_load(content)["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("name", ["alerts.yaml", "grafana.json"])
def test_every_number_that_is_asked_for_is_told(name):
    asked = {each for expression in expressions(name) for each in re.findall(r"nearer_\w+", expression)}
    assert asked
    assert asked <= told()


def test_the_compose_file_mounts_what_is_there():
    services = yaml.safe_load((EXAMPLES / "compose.yaml").read_text(encoding="utf-8"))["services"]
    mounted = [each.partition(":")[0] for service in services.values() for each in service.get("volumes", [])]
    assert {"./prometheus.yaml", "./alerts.yaml"} <= set(mounted)
    for name in ("prometheus.yaml", "alerts.yaml"):
        assert (EXAMPLES / name).exists()
    assert yaml.safe_load((EXAMPLES / "prometheus.yaml").read_text(encoding="utf-8"))["rule_files"] == ["alerts.yaml"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_the_rules():
    checked = subprocess.run(
        ["promtool", "check", "rules", EXAMPLES / "alerts.yaml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
