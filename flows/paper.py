"""Flow `paper`: Fig. 4A, Fig. 4B and Table II of the RSAttAE paper, on validation alone; the test part is not read."""

from __future__ import annotations

from prefect import flow
from prefect.futures import PrefectFuture

from attrec.ratings.rsattae.autoencoder import AutoencoderConfig
from attrec.ratings.rsattae.cross_fitting import RSAttAEXGBoostConfig, autoencoder_jobs
from attrec.ratings.rsattae.network import RSAttAEConfig
from attrec.ratings.rsattae.recipes import RECIPES
from flows.paper_params import PaperParams
from flows.prepare import prepare_dataset
from flows.prepare_params import PrepareParams
from flows.stage import run_asked, run_in_tasks
from tasks.data.prepared import RatingTraining
from tasks.engine import environment, tracking
from tasks.engine.artifacts import Artifact, publish
from tasks.engine.caching import of_model
from tasks.engine.logs import tell
from tasks.engine.runner import gather
from tasks.families.ratings.boost import fit_one_head
from tasks.families.ratings.pretrain import pretrain, pretraining_part
from tasks.reports.paper import write_paper_outputs

Pretraining = dict[str, PrefectFuture[Artifact]]


@flow(name="paper", flow_run_name="paper {params.dataset}")
def paper(params: PaperParams) -> None:
    """Rebuild the three, into reports/paper/."""
    prepared = prepare_dataset(PrepareParams(dataset=params.dataset, prepare=params.prepare)).prepared
    training = prepared.training
    facts = training.facts()
    by_dimension = {
        dimension: pretrain_both(_with_network(dimension=dimension), params.seed, training)
        for dimension in sorted({*params.paper.dimensions, 64})
    }
    vanilla = pretrain_both(_with_network(attention=False), params.seed, training)
    head = of_model(fit_one_head, "rsattae+xgboost", params.seed).submit(
        0, RECIPES["paper"], params.seed, training, "select", by_dimension[64], {}
    )
    every = [future for pair in (*by_dimension.values(), vanilla) for future in pair.values()]
    gather([*every, head], "paper")
    output = write_paper_outputs(
        {str(dimension): _results(pair) for dimension, pair in by_dimension.items()},
        _results(by_dimension[64]),
        _results(vanilla),
        head.result(),
        facts["dataset"],
    )
    publish(output.path, environment.ROOT / "reports" / "paper")
    run_tags = {
        "dataset": facts["dataset"],
        "split": facts["split"]["name"],
        "split.hash": facts["split"]["hash"],
    }
    with tracking.tracked_run(
        f"paper {facts['dataset']}", params.model_dump(mode="json"), run_tags
    ) as run_id:
        tracking.log_files(run_id, output.path, "paper")
    tell(f"Tables and plots: {environment.ROOT / 'reports' / 'paper'}")


def pretrain_both(config: RSAttAEXGBoostConfig, seed: int, data: RatingTraining) -> Pretraining:
    """The autoencoder of users and that of items, on the training rows, stopped early on validation."""
    part = pretraining_part(config)
    return {
        job.name: of_model(pretrain, "rsattae+xgboost", seed).submit(job, part, seed, data, "select")
        for job in autoencoder_jobs(config, seed)
    }


def _with_network(dimension: int = 64, attention: bool = True) -> RSAttAEXGBoostConfig:
    network = RSAttAEConfig(dimension=dimension, attention=attention)
    own = (AutoencoderConfig(network=network),)
    return RSAttAEXGBoostConfig(user_autoencoders=own, item_autoencoders=own)


def _results(futures: Pretraining) -> dict[str, Artifact]:
    return {name: future.result() for name, future in futures.items()}


def run(params: PaperParams) -> None:
    """Run the flow."""
    run_in_tasks(paper, params)


if __name__ == "__main__":
    run_asked(PaperParams, run)
