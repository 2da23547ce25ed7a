#!/usr/bin/env python3
"""Draws the figures of docs/refresh_policies.md and docs/attention_rule.md from JSON files of `flashblock analyze
redundancy --curves`.

    plot_policies.py "demo.json=demo model" "random.json=random weights, 1.3B" -o docs

writes policies.svg (error against work) and sparse.svg (error against density), one panel for each file. Needs
matplotlib.
"""

import argparse
import json
import pathlib

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

COLORS = {"published_gate": "C3", "error_bound": "C0", "every_nth": "C2", "first_pass": "C7",
          "first_and_clean_pass": "C1", "sparse alone": "C3", "sparse + residual": "C0"}


def draw(axes, points, x_of, x_label):
    curves = {}
    for point in points:
        curves.setdefault(point["policy"], []).append((100 * x_of(point), 100 * point["error"]))
    for name, values in curves.items():
        base, corrected = name.removesuffix(", mean key"), name.endswith(", mean key")
        values = sorted(value for value in values if value[1] > 0)
        axes.plot(*zip(*values), "-" if corrected else "--", marker="o" if corrected else "x", markersize=4,
                  color=COLORS[base], label=name, linewidth=1.2)
    axes.set_yscale("log")
    axes.set_xlabel(x_label)
    axes.grid(alpha=0.3)


def figure(reports, choose, x_of, x_label, file):
    whole, panels = plt.subplots(1, len(reports), figsize=(5.2 * len(reports), 4.6), squeeze=False)
    for (title, points), axes in zip(reports, panels[0]):
        draw(axes, [point for point in points if choose(point)], x_of, x_label)
        axes.set_title(title, fontsize=10)
    panels[0][0].set_ylabel("error of attention's output, %")
    handles, labels = panels[0][0].get_legend_handles_labels()
    whole.legend(handles, labels, loc="lower center", ncol=2 * len(reports), fontsize=7, frameon=False)
    whole.tight_layout(rect=(0, 0.12 if len(reports) > 1 else 0.2, 1, 1))
    whole.savefig(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="+", metavar="FILE.json=TITLE")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("."))
    arguments = parser.parse_args()
    plt.rcParams["svg.hashsalt"] = "flashblock"
    reports = []
    for report in arguments.reports:
        file, _, title = report.partition("=")
        reports.append((title or file, json.loads(pathlib.Path(file).read_text())["points"]))
    figure(reports, lambda point: point["density"] == 0 and point["computed_share"],
           lambda point: point["computed_share"],
           "computed, % of heads and passes", arguments.output / "policies.svg")
    figure(reports, lambda point: point["density"] > 0, lambda point: point["density"],
           "density, % of the earlier keys", arguments.output / "sparse.svg")


if __name__ == "__main__":
    main()
