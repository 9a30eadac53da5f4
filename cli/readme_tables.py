"""Write the measured tables into README.md from results/*.csv: no figure is typed by hand. Run by `make readme`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tasks.imports import SOURCE_ROOT


def board(file: Path) -> str:
    """RMSE and MAE with intervals, best first, from a table in the columns of the leaderboard."""
    rows = pd.read_csv(file)
    rmse = rows[rows["metric"] == "rmse"].sort_values("value").to_dict("records")
    mae = {row["model"]: row["value"] for row in rows[rows["metric"] == "mae"].to_dict("records")}
    lines = ["| model | RMSE | 95 % interval (users) | MAE | seeds |", "|---|---|---|---|---|"]
    for row in rmse:
        interval = f"{row['ci_low']:.4f} – {row['ci_high']:.4f}"
        figures = f"{row['value']:.4f} | {interval} | {mae[row['model']]:.4f} | {row['seeds']}"
        lines.append(f"| `{row['model']}` | {figures} |")
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
        before, _, rest = readme.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- end {name} -->")
        if not end:
            raise ValueError(f"README.md has no block {name}")
        readme = f"{before}<!-- {name} -->\n{block}\n{end}{after}"
    return readme


if __name__ == "__main__":
    file = SOURCE_ROOT / "README.md"
    file.write_text(filled(file.read_text(encoding="utf-8"), SOURCE_ROOT / "results"), encoding="utf-8")
