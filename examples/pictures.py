"""Takes the two pictures of the README, the report and the tokens of a run, in a headless Chromium.

    python -m pipelines.finetune +experiment=quickstart run_dir=outputs/runs/pictures
    python -m examples.pictures outputs/runs/pictures

They are written beside this file, `report.png` and `tokens.png`, in 256 colours: less than 200 KB each.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt
from PIL import Image

HERE = Path(__file__).resolve().parent
STYLE = """
body { margin: 1.5rem 2rem; font: 15px/1.5 system-ui, sans-serif; color: #1c1e21; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 1rem 0 .3rem; } p { margin: .4rem 0; }
table { border-collapse: collapse; font-size: 13px; } td, th { padding: .15rem .6rem; border: 1px solid #d5d9df; }
th:empty { border: 0; padding: 0; } code { font-size: 12px; overflow-wrap: anywhere; } img { height: 260px; }
"""


def report_page(run: Path) -> str:
    """The report.md of a run as a page, its curve beside it."""
    text = (run / "report.md").read_text(encoding="utf-8").replace(str(run.parent), "outputs/runs")
    body = MarkdownIt().enable("table").render(text)
    return f'<meta charset="utf-8"><base href="{run.as_uri()}/"><style>{STYLE}</style>{body}'


def shoot(page: Path, picture: Path, width: int, height: int) -> None:
    """The top of a page as a PNG of few colours."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.png"
        window = [f"--window-size={width},{height}", f"--screenshot={raw}", f"--user-data-dir={folder}"]
        flags = ["--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"]
        subprocess.run(["chromium", *flags, *window, page.as_uri()], check=True, capture_output=True, timeout=120)
        Image.open(raw).convert("RGB").quantize(256).save(picture, optimize=True)


def main() -> None:
    """Reads the run's directory and writes both pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="the directory of a finished run")
    run = parser.parse_args().run.resolve()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(report_page(run), encoding="utf-8")
        shoot(page, HERE / "report.png", 1000, 1180)
    shoot(run / "tokens.html", HERE / "tokens.png", 1000, 700)


if __name__ == "__main__":
    main()
