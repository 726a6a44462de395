"""From labels that are wrong to a version in which they are right, over HTTP."""

from pathlib import Path

import httpx
import pytest
from tests.e2e import service as e2e

SAID = {
    "card": ["my card has not arrived", "the card was lost", "please send a new card"],
    "refund": ["give me my money back", "I want a refund", "my refund never came"],
    "password": ["I forgot my password", "reset my password please", "the password is wrong"],
}
HOW = ["hello, ", "excuse me, ", "since Monday: ", "it is urgent, ", "once more: ", "today ", ""]
WRONG = {(3, "refund"), (30, "card"), (50, "card")}  # line, and the label that it has


@pytest.fixture
def mislabelled(client: httpx.Client, tmp_path: Path) -> dict:
    """Return a dataset of 63 rows, three of which have another row's label."""
    rows = [(how + text, label) for label in SAID for text in SAID[label] for how in HOW]
    for line, label in WRONG:
        assert rows[line - 2][1] != label
        rows[line - 2] = (rows[line - 2][0], label)
    path = tmp_path / "mislabelled.csv"
    path.write_text("\n".join(["text,label", *(f'"{text}",{label}' for text, label in rows)]))
    policies = {"near_duplicates": "skip"}
    return e2e.dataset(client, path, "mislabelled", policies=policies)


def test_label_issues_become_labels_of_the_next_version(
    client: httpx.Client, mislabelled: dict
) -> None:
    before = mislabelled["id"]
    none_yet = client.get(f"/datasets/{before}/label-issues")
    answer = client.post(f"/datasets/{before}/label-issues", json={})
    assert answer.status_code == 202, answer.text
    job = e2e.ended(client, answer.json()["id"])
    listed = client.get(f"/datasets/{before}/label-issues").json()
    corrections = [
        {"split": each["split"], "line": each["line"], "label": each["suggested_label"]}
        for each in listed["data"]
    ]
    transform = {"op": "relabel", "rows": corrections}
    made = client.post(f"/datasets/{before}/versions", json={"transforms": [transform]}).json()
    after = e2e.wait_for(
        client, f"/datasets/{made['id']}", lambda body: body["status"] != "validating"
    )
    diff = client.get(f"/datasets/{after['id']}/diff", params={"from": before}).json()

    assert none_yet.json()["code"] == "label-issues-not-found"
    assert job["status"] == "succeeded", job
    assert (listed["job"], listed["total"]) == (job["id"], job["result"]["label_issues"])
    assert {(each["line"], each["label"]) for each in listed["data"]} <= WRONG
    assert len(listed["data"]) >= 2  # how many there are is estimated
    assert (after["status"], after["parent"]) == ("ready", before)
    right = {(each["text"], each["suggested_label"]) for each in listed["data"]}
    changed = {(each["text"], each["label_after"]) for each in diff["relabelled"]["examples"]}
    assert changed == right
    assert right <= {(how + text, label) for label in SAID for text in SAID[label] for how in HOW}
