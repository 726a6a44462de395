"""The whole job over plain HTTP: file, report, fine-tune, evaluation, deployment, predictions.

It starts a server of its own on a free port with a data directory of its own, shows each answer,
and leaves nothing running. It knows the REST contract and nothing of the packages behind it.

Run: python tests/demo/demo.py [--train FILE] [--test FILE] [--text NAME] [--label NAME] [--keep]
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import show
from service import Failed, Service, log_tail, serving

TICKETS = Path(__file__).with_name("tickets.csv")
MODEL = "intent"
TEXTS = [  # not in tickets.csv
    "The parcel was due on Monday and the courier still hasn't come.",
    "My card was charged two times for the May invoice.",
    "Nobody can sign in to our account, the reset link is dead.",
    "我要退款，钱什么时候能到账？",
    "App 一点开就闪退，重启手机也没用。",
]
INGEST_SECONDS = 1800.0
JOB_SECONDS = 12 * 3600.0  # own data may be large
DEPLOY_SECONDS = 300.0


def main() -> int:
    """Run the demo and return the exit status."""
    options = _options()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    started = time.monotonic()
    # Not below the repository: the server's sockets are there, and a socket's path is short.
    data_dir = Path(tempfile.mkdtemp(prefix="tunery-demo-"))
    try:
        with serving(data_dir) as service:
            show.heading("server", f"ready after {show.duration(time.monotonic() - started)}")
            walk(service, options)
        print(f"\ndone in {show.duration(time.monotonic() - started)}; the server has stopped")
        return 0
    except Failed as error:
        print(f"\nthe demo failed: {error}\n{log_tail(data_dir)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    finally:
        if options.keep:
            print(f"data, key and log are kept in {data_dir}")
        else:
            shutil.rmtree(data_dir, ignore_errors=True)


def walk(service: Service, options: argparse.Namespace) -> None:
    """Go from a file to predictions, printing every answer."""
    dataset = make_dataset(service, options)
    result = finetune(service, dataset)
    evaluate(service, result)
    wait_deployed(service)
    texts, truth = TEXTS, []
    if options.train:
        rows = service.get(f"/datasets/{dataset['id']}/rows?split=test&limit=5")["data"]
        texts, truth = [row["text"] for row in rows], [row["label"] for row in rows]
    answer = service.post("/predict", {"model": MODEL, "inputs": texts})
    show.predictions(answer, texts, truth)
    show.commands(service.commands)


def make_dataset(service: Service, options: argparse.Namespace) -> Any:
    """Upload the files, and return the dataset when it is ready."""
    train, test = options.train or TICKETS, options.test
    file = service.upload(train, variable="FILE")
    show.heading("file", f"{file['name']}, {file['bytes']:,} bytes")
    spec: dict[str, Any] = {
        "name": train.stem,
        "columns": {"text": options.text, "label": options.label},
    }
    if test:
        test_file = service.upload(test, variable="TEST_FILE")
        show.heading("file", f"{test_file['name']}, {test_file['bytes']:,} bytes")
        spec["files"] = {"train": file["id"], "test": test_file["id"]}
    else:
        spec["file"] = file["id"]
    if not options.train:
        spec["policies"] = {"labels": "merge"}  # one row of tickets.csv spells its label otherwise
    dataset = service.post("/datasets", spec, variable="DATASET")
    path = f"/datasets/{dataset['id']}"
    for dataset in service.changes(path, INGEST_SECONDS):
        if dataset["status"] != "validating":
            show.report(service.get(f"{path}/report", keep=True), dataset)
            if dataset["status"] == "ready":
                return dataset
            raise Failed(f"the dataset is {dataset['status']}: {dataset['error']['message']}")
    raise Failed(f"{path} was not ready in {show.duration(INGEST_SECONDS)}")


def finetune(service: Service, dataset: Any) -> Any:
    """Fine-tune, show it live, and return the job's result."""
    then = {"evaluate": True, "deploy": {"name": MODEL}}
    spec = {"dataset": dataset["id"], "model": MODEL, "then": then}
    job = service.post("/finetune", spec, variable="JOB")
    show.heading("fine-tune", job["id"])
    follow(service, job["id"])
    job = service.get(f"/jobs/{job['id']}", keep=True)
    print(f"  {job['result']['version']} after {show.elapsed(job)}")
    return job["result"]


def evaluate(service: Service, result: Any) -> None:
    """Wait for the evaluation that follows the fine-tune, and print it."""
    job = follow(service, result["evaluate_job"], quiet=True)
    evaluation_id = job["result"]["evaluation"]
    service.commands.append("# EVALUATION=… is in the result of the job's evaluate_job")
    service.called(evaluation_id, "EVALUATION")
    show.evaluation(service.get(f"/evaluations/{evaluation_id}", keep=True))


def wait_deployed(service: Service) -> None:
    """Return when the deployment serves."""
    path = f"/deployments/{MODEL}"
    # The fine-tune's `then` makes the deployment: until then there is none.
    for deployment in service.changes(path, DEPLOY_SECONDS, may_miss=True):
        if deployment["status"] == "ready":
            break
        if deployment["error"]:
            raise Failed(f"the deployment is {deployment['status']}: {deployment['error']}")
    else:
        raise Failed(f"{MODEL} did not serve within {show.duration(DEPLOY_SECONDS)}")
    actual = service.get(path, keep=True)["actual"]
    text = f"{MODEL} serves {actual['version']}, {actual['runtime']} {actual['precision']}"
    show.heading("deployment", f"{text}, loaded in {deployment['load_ms'] or 0:.0f} ms")


def follow(service: Service, job_id: str, *, quiet: bool = False) -> Any:
    """Return the job when it has succeeded, showing its progress until then."""
    line = show.Line(quiet=quiet)
    seen, loss = 0, None
    for job in service.changes(f"/jobs/{job_id}", JOB_SECONDS):
        events = service.get(f"/jobs/{job_id}/events?after={seen}")
        seen = events["last_seq"]
        for event in events["data"]:
            value = event["data"].get("loss")
            if event["type"] == "metric" and isinstance(value, int | float):
                loss = value  # of a step: a validation's has another name, a NaN is an object
        line(show.progress(job, loss))
        if job["status"] == "succeeded":
            line.end()
            return job
        if job["terminal"] or job["status"] == "paused":
            line.end()
            error = job["error"] or {"code": job["stop_reason"], "message": ""}
            raise Failed(f"{job_id} {job['status']}: {error['code']}: {error['message']}")
    raise Failed(f"{job_id} had not ended after {show.duration(JOB_SECONDS)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the whole job of tunery once.")
    parser.add_argument("--train", type=Path, help="CSV or JSONL; alone, it is split")
    parser.add_argument("--test", type=Path, help="CSV or JSONL that training never sees")
    parser.add_argument("--text", default="text", help="column with the text")
    parser.add_argument("--label", default="label", help="column with the label")
    parser.add_argument("--keep", action="store_true", help="keep the data directory")
    options = parser.parse_args()
    if options.test and not options.train:
        parser.error("--test needs --train")
    for path in (options.train, options.test):
        if path and not path.is_file():
            parser.error(f"there is no file {path}")
    return options


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
