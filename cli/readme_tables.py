"""Write the measured tables into README.md from results/*.csv, so that no figure is typed by hand. Run by `make readme`."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from tasks.imports import SOURCE_ROOT


def board(file: Path) -> str:
    """RMSE and MAE with intervals, best first, from a table in the columns of the leaderboard."""
    rows = pd.read_csv(file)
    by_metric = {metric: part.set_index("model") for metric, part in rows.groupby("metric")}
    lines = ["| model | RMSE | 95 % interval (users) | MAE | seeds |", "|---|---|---|---|---|"]
    for name, row in by_metric["rmse"].sort_values("value").iterrows():
        mae = by_metric["mae"].loc[name, "value"]
        interval = f"{row['ci_low']:.4f} – {row['ci_high']:.4f}"
        lines.append(f"| `{name}` | {row['value']:.4f} | {interval} | {mae:.4f} | {row['seeds']} |")
    return "\n".join(lines)


def ablation(file: Path) -> str:
    """Validation RMSE of each step, and how far it is behind the best."""
    lines = ["| step | validation RMSE | 95 % interval (users) | behind the best |", "|---|---|---|---|"]
    for row in pd.read_csv(file).to_dict("records"):
        behind = "best" if pd.isna(row["behind_best"]) else f"{row['behind_best']:.4f} (p = {row['p']:.3f})"
        interval = f"{row['ci_low']:.4f} – {row['ci_high']:.4f}"
        lines.append(f"| {row['step']} | {row['value']:.4f} | {interval} | {behind} |")
    return "\n".join(lines)


def by_seed(file: Path) -> str:
    """Mean and standard deviation over the seeds of each model that has several."""
    rows = pd.read_csv(file)
    rmse = rows[rows["metric"] == "rmse"].groupby("model", sort=False)["value"]
    parts = [
        f"`{model}` {values.mean():.4f} ± {values.std(ddof=1):.4f}"
        for model, values in rmse
        if len(values) > 1
    ]
    return f"RMSE, mean ± standard deviation over seeds: {', '.join(parts)}."


def filled(readme: str, results: Path) -> str:
    """The README with each block between its markers replaced."""
    blocks = {
        "default-figures": board(results / "simulated.csv"),
        "u1-figures": f"{board(results / 'ml-100k.csv')}\n\n{by_seed(results / 'ml-100k-by-seed.csv')}",
        "ablation-figures": ablation(results / "ml-100k-ablation.csv"),
    }
    for name, block in blocks.items():
        marked = f"<!-- {name} -->\n{block}\n<!-- end {name} -->"
        readme = re.sub(
            f"<!-- {name} -->.*?<!-- end {name} -->", lambda _, text=marked: text, readme, flags=re.DOTALL
        )
    return readme


if __name__ == "__main__":
    file = SOURCE_ROOT / "README.md"
    file.write_text(filled(file.read_text(encoding="utf-8"), SOURCE_ROOT / "results"), encoding="utf-8")
