"""Flow `report`: one leaderboard and one self-contained page from what the other stages left."""

from __future__ import annotations

from prefect import flow
from pydantic import BaseModel, ConfigDict

from flows.stage import run_stage
from tasks.comparison.left import Left, log_report
from tasks.engine import environment
from tasks.engine.flow_runs import run_noted
from tasks.reports.report import measured_tasks, write_board, write_page


class ReportParams(BaseModel):
    """What the flow reads from params.yaml."""

    model_config = ConfigDict(extra="forbid")

    dataset: str


@flow(name="report", flow_run_name="report {params.dataset}")
def report(params: ReportParams) -> None:
    """Write reports/leaderboard.csv and reports/index.html, and keep the page in the runs that it tells of."""
    write_board()
    write_page()
    left = {name: Left.read(name) for name in measured_tasks(environment.ROOT)}
    log_report(stage.runs[name] for name, stage in left.items() if stage is not None)


def run(params: ReportParams) -> None:
    """Run the flow."""
    run_noted(report, params)


if __name__ == "__main__":
    run_stage(ReportParams, run)
