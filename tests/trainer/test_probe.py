"""The linear probe: where a fine-tune starts when the encoder knows something already."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.trainer.tiny_model import LABELS, Bench

from tunery_trainer.base_facts import BaseFacts
from tunery_trainer.data import TokenCache
from tunery_trainer.forward import forward_rows
from tunery_trainer.model import Classifier, linear_of, new_classifier
from tunery_trainer.probe import INVERSE_REGULARISATION, probe_head
from tunery_trainer.tasks import task_named
from tunery_trainer.tasks.text_classification import TextClassification


@pytest.fixture
def probed(bench: Bench):
    """Return a function that probes a new classifier on the training rows with these labels."""
    task, facts = task_named("text_classification"), BaseFacts(bench.base)
    cache = TokenCache(
        Path(bench.directory / "cache"),
        encoder=task.encoder(bench.base, 64),
        tokenizer_file=bench.base / "tokenizer.json",
        positions=64,
        dataset_fingerprint="sha256:1",
        targets=partial(TextClassification().targets, labels=LABELS),
    )
    rows = cache.load(bench.train, "train", lambda: None)

    def probed(labels: np.ndarray, names: list[str]) -> tuple[Classifier, np.ndarray]:
        classifier = new_classifier(bench.base, facts, task, names, 0.1).eval()
        features = []
        for i in range(len(rows)):
            batch = rows.batch(np.array([i]), max_length=64, pad_id=0, device=torch.device("cpu"))
            with torch.inference_mode():
                features.append(classifier.pooled(batch.input_ids, batch.attention_mask)[0].numpy())
        found = forward_rows(
            classifier,
            classifier.pooled,
            rows,
            max_length=64,
            pad_id=0,
            device=torch.device("cpu"),
            alive=lambda: None,
        )
        probe_head(classifier, found, labels, lambda: None)
        return classifier, np.stack(features)

    probed.labels = rows.labels
    return probed


@pytest.mark.parametrize("classes", [2, 3])
def test_head_is_the_logistic_regression(probed, classes: int) -> None:
    labels = probed.labels % classes
    classifier, features = probed(labels, LABELS[:classes])

    lengths = np.linalg.norm(features, axis=1)
    np.testing.assert_allclose(lengths, classifier.length, rtol=1e-5)
    unit = features / classifier.length
    # For two classes scikit-learn keeps one row, the difference, and so weighs its square twice.
    inverse = INVERSE_REGULARISATION * (2 if classes == 2 else 1)
    expected = LogisticRegression(C=inverse, max_iter=1000, tol=1e-6)
    expected.fit(unit, labels)
    with torch.inference_mode():
        found = torch.softmax(classifier.head(torch.from_numpy(features)), dim=1).numpy()
    np.testing.assert_allclose(found, expected.predict_proba(unit), atol=0.002)
    assert (found.argmax(1) == labels).mean() > 0.5


def test_a_label_without_rows_keeps_a_row_of_its_own(probed) -> None:
    classifier, _ = probed(probed.labels % 2, ["a", "b", "never"])

    assert linear_of(classifier.head).weight.shape[0] == 3
    assert linear_of(classifier.head).bias[2].item() == 0.0


def test_one_label_leaves_the_head_as_it_was(probed) -> None:
    classifier, _ = probed(np.zeros_like(probed.labels), ["a", "b"])

    assert torch.equal(linear_of(classifier.head).bias, torch.zeros(2))
