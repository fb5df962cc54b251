"""The dashboard quality: what the analyzer says of the runs."""

from typing import Any

from panels import (
    COLORED, GOOD_AT_0, WIDE, dashboard, quality_value, row, series, stat, steps, table,
    variable,
)


def quality_dashboard() -> dict[str, Any]:
    """How good the data are."""
    numbers = "FROM quality_values WHERE value IS NOT NULL"
    joined = "quality q JOIN runs r ON r.run_number = q.run_number"

    def total(quantity: str) -> str:
        return f"""SELECT COALESCE(SUM(v.value), 0) AS total FROM quality_values v
            JOIN runs r ON r.run_number = v.run_number
            WHERE v.quantity = '{quantity}' AND $__timeFilter(r.start_time)"""

    return dashboard(
        "cygno-quality",
        "CYGNO data quality",
        "What the analyzer says of each run: noise, light, clusters, 55Fe line, PMTs.",
        [
            stat(
                "Good runs",
                "Of the runs that were analyzed in the time shown.",
                f"""SELECT 100 * AVG(q.verdict = 'good') AS percent FROM {joined}
                    WHERE $__timeFilter(r.start_time)""",
                "percent",
                thresholds=steps((None, "red"), (80, "yellow"), (95, "green")),
            ),
            stat(
                "Analyzed",
                "Events in the results of these runs.",
                f"SELECT SUM(q.events) AS events FROM {joined} WHERE $__timeFilter(r.start_time)",
            ),
            stat("Events lost", "Events of these runs that are not in the results.", total("events_lost"),
                 thresholds=GOOD_AT_0),
            stat("Sparks", "Frames of these runs with sparks.", total("spark_frames"),
                 thresholds=steps((None, "green"), (10, "yellow"), (100, "red"))),
            stat("Bad frames", "Frames that could not be analyzed.", total("bad_frames"),
                 thresholds=GOOD_AT_0),
            stat("Without pedestal", "Frames that were analyzed with an estimated pedestal.",
                 total("fallback_frames"), thresholds=steps((None, "green"), (1, "yellow"))),
            row("Camera"),
            series("Pixel noise", "Noise of pixels without light, mean over the frames of a run.",
                   quality_value("noise_adu"), quality_value("row_noise_adu"),
                   quality_value("pedestal_noise_adu"), style="points"),
            series("Image mean", "Mean of all pixels, and their drift from the pedestal.",
                   quality_value("image_mean_adu"), style="points"),
            series("Pedestal drift", "Mean of pixels without light above the pedestal. A new pedestal is "
                   "due where it grows.", quality_value("pedestal_drift_adu"), style="points"),
            series("Light outside clusters", "A growing one tells of light leaks or a bad pedestal.",
                   quality_value("light_outside_adu_per_pixel"), style="points"),
            row("Clusters"),
            series("Clusters per frame", "", quality_value("clusters_per_frame"), style="points", minimum=0),
            series("Rate of clusters", "In the time of exposure.", quality_value("cluster_rate_hz"),
                   unit="hertz", style="points", minimum=0),
            series("55Fe line", "Where it is; runs with enough spots alone.",
                   quality_value("fe55_peak_adu"), style="points"),
            series("55Fe resolution", "Sigma over place of the line.",
                   quality_value("fe55_resolution_percent"), unit="percent", style="points", minimum=0),
            series("Light yield", "Place of the 55Fe line over 5.9 keV.",
                   quality_value("light_yield_adu_per_kev"), style="points"),
            series("Alphas and muons", "Tracks of each kind in a run.",
                   quality_value("alpha_clusters"), quality_value("muon_clusters"), style="points", minimum=0),
            row("PMTs and trigger"),
            series("PMT noise", "", quality_value("pmt_noise_counts"), style="points", minimum=0),
            series("PMT charge", "Mean over the events of a run.", quality_value("pmt_charge_pc"), style="points"),
            series("Trigger rate", "Triggers in the live time.", quality_value("trigger_rate_hz"),
                   unit="hertz", style="points", minimum=0),
            series("Live time", "Part of the time in which triggers could be taken.",
                   quality_value("live_percent"), unit="percent", style="points"),
            row("Any quantity"),
            series(
                "$quantity",
                "Choose it above; all that the analyzer's summaries say can be shown.",
                """SELECT r.start_time AS time, q.quantity AS metric, q.value FROM quality_values q
                    JOIN runs r ON r.run_number = q.run_number WHERE $__timeFilter(r.start_time)
                    AND q.quantity IN (${quantity:sqlstring}) AND q.value IS NOT NULL ORDER BY time""",
                width=24,
                style="points",
            ),
            table(
                "Runs that were not good",
                "troubled: not all of the run could be analyzed; warning: figures out of their limits.",
                f"""SELECT q.run_number AS run, r.start_time AS start, q.verdict, q.events,
                    JSON_UNQUOTE(JSON_EXTRACT(q.summary, '$.trouble')) AS trouble,
                    JSON_UNQUOTE(JSON_EXTRACT(q.summary, '$.limits_violated')) AS "out of limits"
                    FROM {joined} WHERE $__timeFilter(r.start_time) AND q.verdict <> 'good'
                    ORDER BY q.run_number DESC LIMIT 200""",
                verdict=COLORED,
                trouble=WIDE,
            ),
        ],
        [variable("quantity", "Quantity", f"SELECT DISTINCT quantity {numbers} ORDER BY 1", True,
                  ["noise_adu"])],
        since="now-7d",
    )
