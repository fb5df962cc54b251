"""The dashboard slow control: gas, temperatures and voltages."""

from typing import Any

from panels import (
    Panel, dashboard, quality_value, row, series, slow_value, table, variable,
)


def slow_control_dashboard() -> dict[str, Any]:
    """Voltages, currents, gas, temperatures."""

    def both(quantity: str, title: str, text: str, unit: str) -> Panel:
        return series(title, text, quality_value(quantity), unit=unit, style="points", width=8)

    chosen = """slow_control s JOIN runs r ON r.run_number = s.run_number
        WHERE $__timeFilter(r.start_time) AND s.equipment = ${equipment:sqlstring}
        AND s.name IN (${channel:sqlstring})"""
    return dashboard(
        "cygno-slow-control",
        "CYGNO slow control",
        "Voltages, currents, gas and temperatures; each point is the mean over one file of a run.",
        [
            row("High voltage"),
            series(
                "GEM, measured",
                "Names are those of the LNGS detector.",
                *(slow_value(name, "HV", "MSRD") for name in ("VGEM1", "VGEM2", "VGEM3")),
                unit="volt",
                style="points",
            ),
            series(
                "Drift and transfers, measured",
                "",
                *(slow_value(name, "HV", "MSRD") for name in ("Drift", "Transf1", "Transf2")),
                unit="volt",
                style="points",
            ),
            series(
                "PMTs, measured",
                "",
                *(slow_value(f"PMT{number}", "HV", "MSRD") for number in (1, 2, 3, 4)),
                unit="volt",
                style="points",
            ),
            series(
                "Currents",
                "Mean over the run, every channel of the crate.",
                """SELECT r.start_time AS time, s.name AS metric, s.mean AS current
                    FROM slow_control s JOIN runs r ON r.run_number = s.run_number
                    WHERE $__timeFilter(r.start_time) AND s.equipment = 'HV'
                    AND s.bank = 'CRNT' ORDER BY time""",
                unit="µA",
                style="points",
            ),
            series(
                "Measured minus demanded",
                "More than a volt tells of a channel in trip, ramp or trouble.",
                """SELECT r.start_time AS time, m.name AS metric,
                    m.mean - d.mean AS difference FROM slow_control m JOIN slow_control d
                    ON d.run_number = m.run_number AND d.subrun = m.subrun AND d.equipment = m.equipment
                    AND d.bank = 'DMND' AND d.channel = m.channel JOIN runs r ON r.run_number = m.run_number
                    WHERE $__timeFilter(r.start_time) AND m.bank = 'MSRD'
                    AND m.equipment = 'HV' ORDER BY time""",
                unit="volt",
                style="points",
            ),
            series(
                "Most restless channels",
                "Spread over its run, over its mean; the ten largest of voltages that were on.",
                """SELECT r.start_time AS time, s.name AS metric,
                    100 * s.sigma / s.mean AS spread FROM slow_control s
                    JOIN runs r ON r.run_number = s.run_number
                    WHERE $__timeFilter(r.start_time) AND s.equipment = 'HV'
                    AND s.bank = 'MSRD' AND s.mean > 20 AND s.name IN (SELECT name FROM (
                    SELECT i.name FROM slow_control i JOIN runs n ON n.run_number = i.run_number
                    WHERE $__timeFilter(n.start_time) AND i.equipment = 'HV' AND i.bank = 'MSRD'
                    AND i.mean > 20 GROUP BY i.name ORDER BY MAX(i.sigma / i.mean) DESC LIMIT 10)
                    restless) ORDER BY time""",
                unit="percent",
                style="points",
            ),
            row("Gas and environment, as the analyzer converts the inputs"),
            both("gas_temperature_c", "Gas temperature", "", "celsius"),
            both("gas_pressure_mbar", "Gas pressure", "", "pressurembar"),
            both("gas_density_g_per_l", "Gas density", "In g/l.", "short"),
            both("room_temperature_c", "Room temperature", "", "celsius"),
            both("atmospheric_pressure_mbar", "Atmospheric pressure", "", "pressurembar"),
            both("humidity_percent", "Humidity", "", "humidity"),
            row("Camera and trigger module"),
            series(
                "Sensor temperature",
                "Of each camera.",
                """SELECT r.start_time AS time,
                    CONCAT(s.equipment, ' ', s.name) AS metric, s.mean AS temperature
                    FROM slow_control s JOIN runs r ON r.run_number = s.run_number
                    WHERE $__timeFilter(r.start_time) AND s.bank = 'TCAM'
                    ORDER BY time""",
                unit="celsius",
                style="points",
            ),
            series(
                "Rates of the trigger module",
                "",
                """SELECT r.start_time AS time, s.name AS metric, s.mean AS rate
                    FROM slow_control s JOIN runs r ON r.run_number = s.run_number
                    WHERE $__timeFilter(r.start_time) AND s.bank = 'TMOD'
                    ORDER BY time""",
                unit="hertz",
                style="points",
                minimum=0,
            ),
            row("Any channel"),
            series(
                "$channel of $equipment, mean",
                "Choose equipment and channels above; inputs are in mA or V, as they are read.",
                f"""SELECT r.start_time AS time, CONCAT(s.name, ' ', s.bank) AS metric,
                    s.mean AS value FROM {chosen} ORDER BY time""",
                style="points",
            ),
            series(
                "$channel of $equipment, lowest and highest",
                "Over each run.",
                f"""SELECT r.start_time AS time, CONCAT(s.name, ' ', s.bank) AS metric,
                    s.lowest, s.highest FROM {chosen} ORDER BY time""",
                style="points",
            ),
            table(
                "The latest run",
                "Every channel of it.",
                """SELECT run_number AS run, equipment, bank, name AS channel, unit, readings, mean, sigma,
                    lowest, highest, last, last_at AS "last reading" FROM slow_control
                    WHERE run_number = (SELECT MAX(run_number) FROM slow_control)
                    ORDER BY equipment, bank, channel""",
                height=14,
            ),
        ],
        [
            variable("equipment", "Equipment", "SELECT DISTINCT equipment FROM slow_control ORDER BY 1",
                     False, "Environment"),
            variable(
                "channel",
                "Channels",
                """SELECT DISTINCT name FROM slow_control WHERE equipment = ${equipment:sqlstring}
                    ORDER BY 1""",
                True,
                ["P0IIn0"],
            ),
        ],
        since="now-7d",
    )
