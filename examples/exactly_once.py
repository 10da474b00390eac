"""Transform one capture file into another exactly once, although the program is stopped half-way.

Run it as it is: it makes its own files in a temporary folder.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import capturefile
from capturefile import checkpoint


class PowerCutError(Exception):
    """Simulates a power cut."""


def extract_cities(visits: Path, cities: Path, *, stop_at: str | None = None) -> None:
    """Adds the city of each visit that was not processed yet."""
    with checkpoint.consume(visits, cities, name="cities", batch_size=2) as consumer:
        for batch in consumer:
            for visit in batch:
                if visit == stop_at:
                    raise PowerCutError
                consumer.add(visit.partition(", from ")[2])


def announce(visits: Path, cursor: Path) -> None:
    """Sends each visit to another system, where a few may arrive twice after a crash."""
    with checkpoint.consume_at_least_once(visits, cursor) as consumer:
        for batch in consumer:
            first = consumer.position + 1
            for number, visit in enumerate(batch, first):
                print(f"announced {number}: {visit}")


def main() -> None:
    """Runs the transformation, which stops in the middle of the second batch, and runs it again."""
    with TemporaryDirectory() as folder:
        visits, cities = Path(folder) / "visits.capture", Path(folder) / "cities.capture"
        with capturefile.open(visits, "w") as cf:
            cf.add_records(["Ada, from London", "Blaise, from Rouen", "Charles, from London", "Edsger, from Rotterdam"])
            cf.commit()

        try:
            extract_cities(visits, cities, stop_at="Edsger, from Rotterdam")
        except PowerCutError:
            print("stopped with", capturefile.open(cities)[:])
        extract_cities(visits, cities)
        print("ended with", capturefile.open(cities)[:])

        announce(visits, Path(folder) / "announced.cursor")


if __name__ == "__main__":
    main()
