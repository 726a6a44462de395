"""Features: texts as vectors of length one, which no label has touched.

Those of a frozen base model tell meanings apart. Where no base model has the language, texts are
known by what they are written with: TF-IDF of characters, folded into few dimensions, which is
latent semantic analysis. Source: Deerwester et al. 1990, JASIS 41(6).
scikit-learn is imported where it is used: it takes a second.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tunery_trainer.base_facts import BaseFacts
from tunery_trainer.ingest.pulse import Pulse
from tunery_trainer.model import new_classifier, quiet
from tunery_trainer.padding import MAX_TOKENS, forward_in_batches
from tunery_trainer.stored_texts import joined
from tunery_trainer.tasks import Text, task_named
from tunery_trainer.teacher import new_vectors

MAX_LENGTH = 256  # tokens of a text, whose beginning tells the label
CHUNK_ROWS = 1000  # between two signs of life
STRINGS = 20_000  # the commonest; all 156,000 of waimai_10k take ten times as long, to the same end
WIDTH = 256
SAMPLE_ROWS = 20_000  # that the dimensions are learned from, in some seconds
_TINY = 1e-12


def encoded(texts: Sequence[Text], base_dir: Path, pulse: Pulse) -> NDArray[np.float32]:
    """Return the mean states of texts under a base model (rows, hidden).

    Raises:
        LeashReleased: it is time to go.
        Failure: the base model is not usable.
    """
    quiet()
    facts, task = BaseFacts(base_dir), task_named("text_classification")
    encode = task.encoder(base_dir, min(MAX_LENGTH, facts.positions))
    token_ids: list[list[int]] = []
    for start in range(0, len(texts), CHUNK_ROWS):
        pulse.beat("tokenising", start, len(texts))
        token_ids += encode(texts[start : start + CHUNK_ROWS]).ids
    pairs = not isinstance(texts[0], str)
    classifier = new_classifier(base_dir, facts, task, ["unused"], 0.0, pairs=pairs).eval()
    done = 0

    def pooled(
        input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        nonlocal done
        pulse.beat("embedding", done, len(texts))
        done += len(input_ids)
        with torch.inference_mode():
            states = classifier.pooled(
                torch.from_numpy(input_ids), torch.from_numpy(attention_mask)
            )  # (B, H)
        found: NDArray[np.float32] = (states / classifier.length).numpy()
        return found

    return forward_in_batches(token_ids, pooled, pad_id=facts.pad_id, max_tokens=MAX_TOKENS["cpu"])


def counted(texts: Sequence[Text], seed: int, pulse: Pulse) -> NDArray[np.float32]:
    """Return what texts are written with (rows, dimensions); the two of a pair count as one.

    Raises:
        LeashReleased: it is time to go.
    """
    from sklearn.utils.extmath import randomized_svd

    pulse.beat("embedding", 0, len(texts))
    plain = [joined(text) for text in texts]
    sample = np.random.default_rng(seed).permutation(len(plain))[:SAMPLE_ROWS]
    strings = new_vectors().set_params(max_features=STRINGS, dtype=np.float32)
    known = strings.fit_transform([plain[i] for i in sample])
    pulse.beat("embedding", 0, len(texts))
    _, _, axes = randomized_svd(known, min(WIDTH, *known.shape), n_iter=5, random_state=seed)
    parts = []
    for start in range(0, len(plain), CHUNK_ROWS):
        pulse.beat("embedding", start, len(texts))
        part = strings.transform(plain[start : start + CHUNK_ROWS]) @ axes.T  # (B, W)
        parts.append(part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), _TINY))
    return np.concatenate(parts).astype(np.float32)
